"""Seeded mutation of layers: a lookup gives the signed answer or the typed error, whoever wrote the file."""

import os
import random
from dataclasses import replace
from hashlib import sha256

import pytest

from agent.core import cbor, trust
from agent.core.snapshot_check import check_layer
from agent.core.snapshot_layer import KEY_BYTES, PAGE_BYTES, SnapshotError, pack_header, unpack_header
from agent.core.snapshot_reader import Layer, Pread, Verify, open_layer
from tests.core.layers import MANIFEST, VERIFY, built, spread

CASES = int(os.environ.get("COUNTERFOIL_FUZZ_CASES", "100000"))
SEED = int(os.environ.get("COUNTERFOIL_FUZZ_SEED", "20261122"))
INTERESTING = b"\x00\x01\x02\x03\x04\x05\x7f\x80\xc1\xc2\xc3\xfe\xff"

pytestmark = pytest.mark.proof

RECORDS = spread(450, b"\0\0\0")  # page 1 of 3 overflows twice; the two others are empty
LAYER = built(RECORDS)
HEADER = unpack_header(LAYER[:PAGE_BYTES])
EXPECTED = {record.token: record for record in RECORDS} | {b"\xff" * 16: None, bytes(16): None}
PROBES = [*list(EXPECTED)[::45], b"\xff" * 16, bytes(16)]
STARTS = (*range(0, LAYER.index(b"CNY") + 8), *range(HEADER.digests_at, len(LAYER)))  # where little is much


def place(rng: random.Random) -> int:
    """A position in the file: half of them in the header, the page headers, the digests or the manifest."""
    if rng.random() < 0.5:
        return rng.randrange(len(LAYER))
    return rng.choice((rng.choice(STARTS), PAGE_BYTES * rng.randrange(1, HEADER.pages_end) + rng.randrange(40)))


def changed(rng: random.Random, out: bytearray) -> None:
    """One to four changes in place: a bit, a byte, a stretch copied from elsewhere."""
    for _ in range(rng.randint(1, 4)):
        at = min(place(rng), len(out) - 1)
        match rng.randrange(3):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at] = rng.choice(INTERESTING)
            case _:
                stretch = out[(source := rng.randrange(len(out))) : source + rng.randint(1, 32)]
                out[at : at + len(stretch)] = stretch[: len(out) - at]


def opened(data: bytes, verify: Verify) -> Layer | None:
    reads = iter(range(10 * HEADER.pages_end))

    def pread(length: int, offset: int) -> bytes:
        next(reads)  # StopIteration, and so a failure, instead of a walk without end
        return data[offset : offset + length]

    try:
        return open_layer(Pread(pread, len(data)), verify)
    except SnapshotError:
        return None


def test_no_mutant_of_a_file_changes_an_answer() -> None:
    rng = random.Random(SEED)
    digest = open_layer(LAYER, VERIFY).digest
    answered = refused = 0
    for _ in range(CASES):
        data = bytearray(LAYER)
        changed(rng, data)
        if rng.random() < 0.1:
            del data[rng.randrange(len(data)) :]
        layer = opened(bytes(data), VERIFY)
        if layer is None:
            continue
        assert layer.digest == digest
        for token in rng.sample(PROBES, 3):
            try:
                assert layer.lookup(token) == EXPECTED[token]
                answered += 1
            except SnapshotError:
                refused += 1
    assert answered > 0 < refused


def believed(signed: bytes) -> dict[object, object]:
    """A signature that everything passes, so that the mutants of a faulty lender are cheap."""
    try:
        payload = cbor.decode(signed)
    except cbor.CborError as error:
        raise trust.TrustError("malformed", str(error)) from error
    if not isinstance(payload, dict):
        raise trust.TrustError("malformed", "no map")
    return dict(payload)


def signed_by_a_faulty_lender(rng: random.Random) -> bytes:
    """A layer whose pages, header or manifest are mutated before the digests and the signature are made."""
    data = bytearray(LAYER[: HEADER.digests_at])
    changed(rng, data)
    if rng.random() < 0.9:  # else the header is refused before anything else is looked at
        data[:PAGE_BYTES] = pack_header(replace(HEADER, record_count=rng.choice((HEADER.record_count, 449))))
    pages = (data[at : at + PAGE_BYTES] for at in range(0, len(data), PAGE_BYTES))
    digests = b"".join(sha256(page).digest() for page in pages)
    manifest = bytearray(cbor.encode(replace(MANIFEST, records=450, digest=sha256(digests).digest()).encode()))
    if rng.random() < 0.2:
        changed(rng, manifest)
    return bytes(data + digests + manifest)


def keys_of(data: bytes) -> list[bytes]:
    """All keys in the pages of a file, read without the code under test."""
    keys = []
    for at in range(PAGE_BYTES, HEADER.digests_at, PAGE_BYTES):
        count = int.from_bytes(data[at : at + 2], "little")
        keys += [data[at + 16 + KEY_BYTES * i : at + 26 + KEY_BYTES * i] for i in range(count)]
    return keys


def test_a_faulty_lender_causes_typed_errors_and_no_walk_without_end() -> None:
    rng = random.Random(SEED + 1)
    sound = faulty = 0
    for _ in range(CASES // 4):
        data = signed_by_a_faulty_lender(rng)
        layer = opened(data, believed)
        if layer is None:
            continue
        for token in rng.sample(PROBES, 2):
            try:
                layer.lookup(token)
            except SnapshotError as error:
                assert error.reason == "page_malformed"
        try:
            check_layer(layer)
        except SnapshotError as error:
            assert error.reason == "page_malformed"
            faulty += 1
            continue
        sound += 1
        for key in rng.sample(keys_of(data), 5):
            reached(layer, key)
    assert sound > 0 < faulty


def reached(layer: Layer, key: bytes) -> None:
    """What the check has passed, a lookup finds; only half a place is left to the lookup."""
    try:
        assert layer.lookup(key + bytes(6)) is not None
    except SnapshotError as error:
        assert "half a place" in str(error)


def test_random_bytes_are_no_layer() -> None:
    rng = random.Random(SEED + 2)
    for _ in range(CASES // 4):
        data = rng.choice((b"", LAYER[:8], LAYER[: 8 + rng.randrange(60)])) + rng.randbytes(rng.randrange(6000))
        assert opened(data, believed) is None
