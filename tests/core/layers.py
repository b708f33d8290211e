"""Snapshot layers for tests: a lender that signs them, records by the thousand, and a hand that tampers with pages."""

import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from hashlib import sha256

from agent.core import cose, trust
from agent.core.snapshot_builder import build_layer
from agent.core.snapshot_layer import PAGE_BYTES, Record, pack_header, unpack_header
from agent.core.snapshot_manifest import SNAPSHOT_TYPE, Manifest
from agent.core.snapshot_reader import Pread, trusting

BUILT_AT = 1_800_000_000
UNIT_S = 3600
LENDER = "shoplend"


def lender_keys(
    seed: bytes, role: trust.Role = trust.Role.SNAPSHOT, **fields: object
) -> tuple[cose.SigningKey, trust.KeyList]:
    """A signing key, and the key list that gives it a role."""
    key = cose.SigningKey.from_seed("ed25519", seed * 32)
    entry = trust.KeyEntry(key.public.kid, key.public, role, BUILT_AT, BUILT_AT + 10**6)
    return key, replace(trust.KeyList(LENDER, 1, BUILT_AT, BUILT_AT + 10**6, (entry,), "CNY"), **fields)


KEY, KEYS = lender_keys(b"k")
SIGN = partial(trust.sign_document, key=KEY, typ=SNAPSHOT_TYPE)
VERIFY = trusting(KEYS, BUILT_AT)
MANIFEST = Manifest(
    lender=LENDER,
    merchant="m1",
    store="s1",
    lane=None,
    lease_epoch=1,
    sequence=7,
    base_sequence=7,
    below=None,
    built_at=BUILT_AT,
    soft_age_s=3_600,
    hard_age_s=86_400,
    applied_through={"lane-1": (2, 140)},
    currency="CNY",
    policy_version=1,
    origin=(39_904_200, 116_407_400),
)


def sorted_by_token(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda record: record.token)


def built(records: list[Record], manifest: Manifest = MANIFEST) -> bytes:
    """The bytes of a layer, signed by the lender."""
    out = io.BytesIO()
    build_layer(records, len(records), manifest, SIGN, out)
    return out.getvalue()


def delta_upon(lower: bytes, lower_manifest: Manifest, **fields: object) -> Manifest:
    """The manifest of the delta that follows a layer."""
    digest = sha256(lower[unpack_header(lower[:PAGE_BYTES]).manifest_at :]).digest()
    following = {"sequence": lower_manifest.sequence + 1, "built_at": lower_manifest.built_at + 60, "below": digest}
    return replace(lower_manifest, **(following | fields))


def spread(count: int, prefix: bytes = b"") -> list[Record]:
    """Records whose tokens are spread evenly, as pseudonymous tokens are, behind a common prefix."""
    tokens = sorted(prefix + sha256(str(number).encode()).digest()[: 16 - len(prefix)] for number in range(count))
    return [Record(token, number + 1, BUILT_AT + UNIT_S) for number, token in enumerate(tokens)]


def signed_again(layer: bytes, change: Callable[[bytearray], object], **header_fields: int) -> bytes:
    """The layer with changed pages and header counts, and all digests and the signature made to fit."""
    data = bytearray(layer)
    header = unpack_header(bytes(data[:PAGE_BYTES]))
    pages = data[PAGE_BYTES : header.digests_at]
    change(pages)
    header = replace(header, **header_fields)
    first = pack_header(header)
    content = first + pages
    digests = b"".join(sha256(content[at : at + PAGE_BYTES]).digest() for at in range(0, len(content), PAGE_BYTES))
    manifest = replace(MANIFEST, records=header.record_count, digest=sha256(digests).digest())
    return bytes(content + digests + SIGN(manifest.encode()))


def changeable(data: bytearray) -> Pread:
    """A layer whose bytes may still change after it was opened, as those of a failing disk do."""
    return Pread(lambda length, offset: bytes(data[offset : offset + length]), len(data))
