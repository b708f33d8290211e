"""Damage is an error of the lookups that meet it, of no other, and never an older answer."""

import struct
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import trust
from agent.core.snapshot_check import check_layer
from agent.core.snapshot_layer import PAGE_BYTES, RECORDS_MAX, Record, SnapshotError, unpack_header
from agent.core.snapshot_manifest import SNAPSHOT_TYPE, Manifest
from agent.core.snapshot_reader import Found, Pread, Stack, open_layer, trusting
from tests.core.layers import (
    BUILT_AT,
    KEY,
    KEYS,
    MANIFEST,
    UNIT_S,
    VERIFY,
    built,
    changeable,
    delta_upon,
    lender_keys,
    signed_again,
    sorted_by_token,
    spread,
)

RECORDS = spread(500) + spread(300, b"\xff\xff\xff\xff")  # the last page overflows twice, the others do not
LAYER = built(sorted_by_token(RECORDS))
HEADER = unpack_header(LAYER[:PAGE_BYTES])


def reason_of(action: Callable[[], object]) -> str | None:
    try:
        action()
    except SnapshotError as error:
        return error.reason
    return None


def pages_read(token: bytes) -> set[int]:
    """The pages that a lookup of a sound layer reads."""
    offsets: list[int] = []

    def pread(length: int, offset: int) -> bytes:
        offsets.append(offset)
        return LAYER[offset : offset + length]

    layer = open_layer(Pread(pread, len(LAYER)), VERIFY)
    offsets.clear()
    layer.lookup(token)
    return {offset // PAGE_BYTES for offset in offsets}


def test_a_lookup_reads_one_page_unless_the_account_is_in_the_overflow() -> None:
    read = [len(pages_read(record.token)) for record in RECORDS]
    assert HEADER.overflow_page_count > 0
    in_data_pages = sum(LAYER[PAGE_BYTES * index] for index in range(1, 1 + HEADER.page_count))  # byte 0: the count
    assert read.count(1) == in_data_pages < len(RECORDS)
    assert max(read) <= 1 + HEADER.overflow_page_count


@pytest.mark.parametrize("index", range(1, HEADER.pages_end))
def test_any_flipped_bit_of_a_page_fails_exactly_the_lookups_that_read_it(index: int) -> None:
    data = bytearray(LAYER)
    layer = open_layer(changeable(data), VERIFY)
    touched = {record.token: index in pages_read(record.token) for record in RECORDS[::7]}
    witness = next(record.token for record in reversed(RECORDS) if index in pages_read(record.token))
    for bit in range(8 * PAGE_BYTES):
        at, mask = PAGE_BYTES * index + bit // 8, 1 << bit % 8
        data[at] ^= mask
        assert reason_of(lambda: layer.lookup(witness)) == "page_wrong_digest"
        if bit % 1013 == 0:
            failed = {token: reason_of(lambda t=token: layer.lookup(t)) is not None for token in touched}
            assert failed == touched
            assert reason_of(lambda: check_layer(layer)) == "page_wrong_digest"
        data[at] ^= mask
    check_layer(layer)


def test_any_flipped_bit_outside_the_pages_is_noticed_when_the_file_is_opened() -> None:
    data = bytearray(LAYER)
    outside = [*range(PAGE_BYTES), *range(HEADER.digests_at, len(LAYER))]
    for at in outside:
        mask = 1 << at % 8
        data[at] ^= mask
        assert reason_of(lambda: open_layer(bytes(data), VERIFY)) in {
            "header_malformed",
            "manifest_untrusted",
            "manifest_malformed",
            "digests_wrong",
        }
        data[at] ^= mask


def test_the_table_of_digests_cannot_be_changed_under_an_open_layer() -> None:
    data = bytearray(LAYER)
    layer = open_layer(changeable(data), VERIFY)
    page = bytearray(data[PAGE_BYTES : 2 * PAGE_BYTES])
    page[PAGE_BYTES // 2] ^= 1
    data[PAGE_BYTES : 2 * PAGE_BYTES] = page
    data[HEADER.digests_at + 32 : HEADER.digests_at + 64] = sha256(page).digest()
    assert reason_of(lambda: layer.lookup(RECORDS[0].token)) == "page_wrong_digest"


@pytest.mark.parametrize("length", [0, 1, 8, PAGE_BYTES - 1, PAGE_BYTES, HEADER.digests_at, HEADER.manifest_at, -1])
def test_a_truncated_file_is_refused(length: int) -> None:
    assert reason_of(lambda: open_layer(LAYER[:length], VERIFY)) in {"header_malformed", "manifest_untrusted"}


@pytest.mark.parametrize("tail", [b"\0", b"x" * 70_000])
def test_a_file_with_something_behind_the_manifest_is_refused(tail: bytes) -> None:
    assert reason_of(lambda: open_layer(LAYER + tail, VERIFY)) in {"header_malformed", "manifest_untrusted"}


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [
        (0, "<8s", b"CFSNAP02"),
        (8, "<H", 2),
        (10, "<I", 0),
        (10, "<I", 2**32 - 1),
        (14, "<I", 2**32 - 1),
        (14, "<I", HEADER.overflow_page_count + 1),
        (18, "<Q", 2**64 - 1),
        (26, "<Q", 0),
        (34, "<Q", 2**63),
        (42, "<Q", 2**64 - 1),
        (50, "<I", 0),
        (54, "<Q", 2**64 - 1),
        (62, "<3s", b"\xff\xff\xff"),
        (62, "<3s", b"cny"),
        (65, "<B", 1),
        (PAGE_BYTES - 1, "<B", 1),
    ],
)
def test_a_hostile_header_is_refused(offset: int, form: str, value: object) -> None:
    data = bytearray(LAYER)
    struct.pack_into(form, data, offset, value)
    assert reason_of(lambda: open_layer(bytes(data), VERIFY)) in {"header_malformed", "manifest_malformed"}


OTHER_KEY, OTHER_KEYS = lender_keys(b"o")


@pytest.mark.parametrize(
    ("verify", "why"),
    [
        (trusting(OTHER_KEYS, BUILT_AT), "no key"),
        (trusting(lender_keys(b"k", trust.Role.POLICY)[1], BUILT_AT), "policy"),
        (trusting(replace(KEYS, lender="otherlend"), BUILT_AT), "otherlend"),
        (trusting(KEYS, BUILT_AT - 1), "not valid yet"),
        (trusting(KEYS, BUILT_AT + 10**6), "expired"),
        (trusting(replace(KEYS, keys=(replace(KEYS.keys[0], revoked=True),)), BUILT_AT), "revoked"),
    ],
)
def test_only_a_valid_snapshot_key_of_this_lender_makes_a_layer_trusted(verify: Callable, why: str) -> None:
    with pytest.raises(SnapshotError, match=why) as refused:
        open_layer(LAYER, verify)
    assert refused.value.reason == "manifest_untrusted"


def test_a_document_of_another_type_is_no_manifest() -> None:
    manifest = replace(MANIFEST, records=HEADER.record_count)
    policy = trust.sign_document(manifest.encode(), KEY, "counterfoil-policy")
    assert reason_of(lambda: open_layer(LAYER[: HEADER.manifest_at] + policy, VERIFY)) == "manifest_untrusted"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"records": 1}, "manifest_malformed"),
        ({"built_at": BUILT_AT + 1}, "manifest_malformed"),
        ({"currency": "EUR"}, "manifest_malformed"),
        ({"digest": bytes(32)}, "digests_wrong"),
    ],
)
def test_a_manifest_that_contradicts_its_file_is_refused(changes: dict[str, object], reason: str) -> None:
    honest = open_layer(LAYER, VERIFY).manifest
    signed = trust.sign_document(replace(honest, **changes).encode(), KEY, SNAPSHOT_TYPE)
    assert reason_of(lambda: open_layer(LAYER[: HEADER.manifest_at] + signed, VERIFY)) == reason


def test_a_disk_error_is_the_end_of_one_lookup() -> None:
    bad_sector = PAGE_BYTES

    def pread(length: int, offset: int) -> bytes:
        if offset == bad_sector:
            raise OSError(5, "Input/output error")
        return LAYER[offset : offset + length]

    layer = open_layer(Pread(pread, len(LAYER)), VERIFY)
    assert reason_of(lambda: layer.lookup(bytes(16))) == "unreadable"
    assert layer.lookup(RECORDS[-1].token) == RECORDS[-1]


# --- what a faulty builder, whose signature is good, could have written ---
CROWDED = built(sorted_by_token(spread(500, b"\0\0\0")))  # page 1 of 3 overflows into pages 4 and 5
PAGE_2, PAGE_4, PAGE_5 = PAGE_BYTES, 3 * PAGE_BYTES, 4 * PAGE_BYTES  # offsets behind the header page
VALUES = 16 + 10 * RECORDS_MAX


def poke(offset: int, form: str, *values: int) -> Callable[[bytearray], None]:
    return lambda pages: struct.pack_into(form, pages, offset, *values)


def swap_keys(pages: bytearray) -> None:
    pages[16:26], pages[26:36] = pages[26:36], pages[16:26]


def move_record_to_page_2(pages: bytearray) -> None:
    pages[PAGE_2 : PAGE_2 + 2] = b"\1\0"
    pages[PAGE_2 + 16 : PAGE_2 + 37] = bytes(21)


FAULTS: dict[str, Callable[[bytearray], object]] = {
    "count beyond the page": poke(0, "<H", RECORDS_MAX + 1),
    "count too low": poke(PAGE_5, "<H", 1),
    "reserved field": poke(2, "<H", 1),
    "index of another page": poke(8, "<I", 2),
    "last field": poke(12, "<I", 1),
    "overflow lost": poke(4, "<I", 0),
    "overflow to itself": poke(4, "<I", 1),
    "overflow to a data page": poke(4, "<I", 2),
    "overflow beyond the file": poke(4, "<I", 6),
    "overflow in a circle": poke(PAGE_5 + 4, "<I", 4),
    "overflow past its page": poke(4, "<I", 5),
    "overflow chain cut": poke(PAGE_4 + 4, "<I", 0),
    "overflow of an empty page": poke(PAGE_2 + 4, "<I", 4),
    "keys out of order": swap_keys,
    "key twice": lambda pages: pages.__setitem__(slice(26, 36), pages[16:26]),
    "key of another page": move_record_to_page_2,
    "flags without a meaning": poke(VALUES + 5, "<B", 128),
    "bytes behind the records": poke(PAGE_BYTES - 1, "<B", 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_signed_fault_is_found_by_the_check_and_no_lookup_breaks_on_it(fault: str) -> None:
    layer = open_layer(signed_again(CROWDED, FAULTS[fault]), VERIFY)
    assert reason_of(lambda: check_layer(layer)) == "page_malformed"
    for record in [*spread(500, b"\0\0\0")[::9], Record(b"\x80" * 16, 0, 0)]:
        assert reason_of(lambda token=record.token: layer.lookup(token)) in {None, "page_malformed"}


def test_the_check_passes_what_was_signed_again_without_a_fault() -> None:
    check_layer(open_layer(signed_again(CROWDED, lambda pages: None), VERIFY))


def test_half_a_place_is_no_place() -> None:
    layer = open_layer(signed_again(CROWDED, poke(VALUES + 6, "<HB", 0x0FFF, 0)), VERIFY)
    assert reason_of(lambda: layer.lookup(spread(500, b"\0\0\0")[0].token)) == "page_malformed"


# --- the stack ---
ACCOUNTS = [sha256(bytes([number])).digest()[:16] for number in range(12)]
CHANGES = st.dictionaries(st.sampled_from(ACCOUNTS), st.none() | st.integers(0, 1000), max_size=8)


def record_of(token: bytes, allowance_minor: int | None) -> Record:
    return Record(token, allowance_minor or 0, BUILT_AT + UNIT_S, removed=allowance_minor is None)


def stacked(*layers: dict[bytes, int | None]) -> list[tuple[bytes, Manifest]]:
    """A base and deltas, oldest first, each with its manifest; None stands for a removed account."""
    files: list[tuple[bytes, Manifest]] = []
    for changes in layers:
        manifest = delta_upon(*files[-1], built_at=BUILT_AT) if files else MANIFEST
        files.append((built(sorted_by_token(record_of(*change) for change in changes.items()), manifest), manifest))
    return files


def stack_of(files: list[tuple[bytes, Manifest]]) -> Stack:
    return Stack([open_layer(data, VERIFY) for data, _ in reversed(files)])


@settings(max_examples=100, deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=9))
def test_a_stack_equals_a_dictionary_updated_layer_by_layer(layers: list[dict[bytes, int | None]]) -> None:
    model: dict[bytes, tuple[int | None, int]] = {}
    for sequence, changes in enumerate(layers, MANIFEST.sequence):
        model |= {token: (allowance_minor, sequence) for token, allowance_minor in changes.items()}
    stack = stack_of(stacked(*layers))
    assert stack.newest.sequence == MANIFEST.sequence + len(layers) - 1
    for token in ACCOUNTS:
        found = stack.lookup(token)
        if token not in model:
            assert found is None
            continue
        allowance_minor, sequence = model[token]
        assert found is not None
        assert found.record == record_of(token, allowance_minor)
        assert found.manifest.sequence == sequence


def test_removed_ends_the_search() -> None:
    found = stack_of(stacked({ACCOUNTS[0]: 100}, {ACCOUNTS[0]: None})).lookup(ACCOUNTS[0])
    assert isinstance(found, Found)
    assert found.record.removed


def test_a_damaged_layer_never_lets_an_older_one_answer() -> None:
    (base, _), (delta, _) = stacked({ACCOUNTS[0]: 900}, {ACCOUNTS[0]: 20})
    damaged = bytearray(delta)
    upper = open_layer(changeable(damaged), VERIFY)
    stack = Stack([upper, open_layer(base, VERIFY)])
    damaged[PAGE_BYTES + 30] ^= 1
    for token in ACCOUNTS:
        assert reason_of(lambda t=token: stack.lookup(t)) == "page_wrong_digest"


def test_a_stack_is_one_base_and_at_most_eight_deltas_in_their_order() -> None:
    files = stacked(*[{} for _ in range(10)])
    layers = [open_layer(data, VERIFY) for data, _ in reversed(files)]
    Stack(layers[1:])
    wrong = [layers, layers[:3], [], [layers[-1], layers[-2]], [layers[-3], layers[-1]], [layers[-1], layers[-1]]]
    assert [reason_of(lambda some=some: Stack(some)) for some in wrong] == ["stack_broken"] * len(wrong)
