"""A layer gives back what went in, rounded only in the direction that costs the lender nothing."""

import io
import struct
from hashlib import sha256

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.core import cbor, cose
from agent.core.snapshot_builder import build_layer
from agent.core.snapshot_check import check_layer
from agent.core.snapshot_layer import RECORDS_MAX, Record, SnapshotError, find_key, pack_page, page_of
from agent.core.snapshot_reader import Layer, open_layer
from tests.core.layers import BUILT_AT, KEY, MANIFEST, SIGN, UNIT_S, VERIFY, built, sorted_by_token, spread


def layer_of(records: list[Record]) -> Layer:
    layer = open_layer(built(records), VERIFY)
    check_layer(layer)
    return layer


def read_back(record: Record) -> Record:
    found = layer_of([record]).lookup(record.token)
    assert found is not None
    return found


TOKEN = bytes(range(16))
RECORDS = st.builds(
    Record,
    token=st.binary(min_size=16, max_size=16),
    allowance_minor=st.integers(0, 2**32 - 1),
    valid_until_s=st.integers(0, BUILT_AT + 255 * UNIT_S),
    tier=st.integers(0, 7),
    blocked=st.booleans(),
    step_up=st.booleans(),
    removed=st.booleans(),
    place=st.none() | st.tuples(st.integers(-2048, 2046), st.integers(-2048, 2046)),
    last_seen_s=st.none() | st.integers(BUILT_AT - 70_000 * 60, BUILT_AT),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(RECORDS, max_size=60, unique_by=lambda record: record.token[:10]), st.binary(min_size=16, max_size=16))
def test_what_went_in_is_found_and_nothing_else(records: list[Record], other: bytes) -> None:
    layer = layer_of(sorted_by_token(records))
    for record in records:
        found = layer.lookup(record.token)
        assert found is not None
        assert record.valid_until_s - UNIT_S < found.valid_until_s or found.valid_until_s == 0
        assert found.valid_until_s <= record.valid_until_s
        exact = ("token", "allowance_minor", "tier", "blocked", "step_up", "removed", "place")
        assert [getattr(found, name) for name in exact] == [getattr(record, name) for name in exact]
        if found.last_seen_s is not None and record.last_seen_s is not None:
            assert record.last_seen_s <= found.last_seen_s < record.last_seen_s + 60
    if other[:10] not in {record.token[:10] for record in records}:
        assert layer.lookup(other) is None


@pytest.mark.parametrize(
    ("valid_until_s", "read"),
    [
        (BUILT_AT + 2 * UNIT_S, BUILT_AT + 2 * UNIT_S),
        (BUILT_AT + 2 * UNIT_S - 1, BUILT_AT + UNIT_S),
        (BUILT_AT + UNIT_S - 1, 0),  # less than a unit is nothing
        (BUILT_AT - 5, 0),
        (BUILT_AT + 255 * UNIT_S + UNIT_S - 1, BUILT_AT + 255 * UNIT_S),
    ],
)
def test_valid_until_rounds_down(valid_until_s: int, read: int) -> None:
    assert read_back(Record(TOKEN, 100, valid_until_s)).valid_until_s == read


@pytest.mark.parametrize(
    ("last_seen_s", "read"),
    [
        (None, None),
        (BUILT_AT, BUILT_AT),
        (BUILT_AT - 59, BUILT_AT),
        (BUILT_AT - 60, BUILT_AT - 60),
        (BUILT_AT - 65_534 * 60, BUILT_AT - 65_534 * 60),
        (BUILT_AT - 65_535 * 60, None),
        (0, None),
    ],
)
def test_last_seen_never_makes_a_trip_slower_and_is_unknown_when_too_old(last_seen_s: int, read: int) -> None:
    assert read_back(Record(TOKEN, 100, BUILT_AT, last_seen_s=last_seen_s)).last_seen_s == read


@pytest.mark.parametrize(
    ("place", "read"),
    [((0, 0), (0, 0)), ((-2048, 2046), (-2048, 2046)), ((-9999, 9999), (-2048, 2046)), (None, None)],
)
def test_a_place_is_clamped_to_the_grid_and_never_becomes_unknown(
    place: tuple[int, int], read: tuple[int, int]
) -> None:
    assert read_back(Record(TOKEN, 100, BUILT_AT, place=place)).place == read


@pytest.mark.parametrize(
    ("records", "record_count", "reason"),
    [
        ([Record(b"b" * 16, 1, 0), Record(b"a" * 16, 1, 0)], 2, "unsorted"),
        ([Record(b"a" * 16, 1, 0), Record(b"a" * 10 + b"zzzzzz", 1, 0)], 2, "key_collision"),
        ([Record(b"a" * 15, 1, 0)], 1, "value_out_of_range"),
        ([Record(TOKEN, -1, 0)], 1, "value_out_of_range"),
        ([Record(TOKEN, 2**32, 0)], 1, "value_out_of_range"),
        ([Record(TOKEN, 1, BUILT_AT + 256 * UNIT_S)], 1, "value_out_of_range"),
        ([Record(TOKEN, 1, 0, tier=8)], 1, "value_out_of_range"),
        ([Record(TOKEN, 1, 0, tier=-1)], 1, "value_out_of_range"),
        ([Record(TOKEN, 1, 0, last_seen_s=BUILT_AT + 1)], 1, "value_out_of_range"),
        ([Record(TOKEN, 1, 0)], 2, "count_wrong"),
        ([Record(TOKEN, 1, 0)], 0, "count_wrong"),
    ],
)
def test_the_builder_refuses(records: list[Record], record_count: int, reason: str) -> None:
    out = io.BytesIO()
    with pytest.raises(SnapshotError) as refused:
        build_layer(records, record_count, MANIFEST, SIGN, out)
    assert refused.value.reason == reason
    with pytest.raises(SnapshotError):
        open_layer(out.getvalue(), VERIFY)


@pytest.mark.parametrize("prefix", [b"", b"\0\0\0", b"\xff\xff\xff", b"\x80"])
@pytest.mark.parametrize("count", [RECORDS_MAX, RECORDS_MAX + 1, 3 * RECORDS_MAX + 1, 2_000])
def test_tokens_that_crowd_one_page_are_found_all_the_same(prefix: bytes, count: int) -> None:
    records = spread(count, prefix)
    layer = layer_of(records)
    assert [layer.lookup(record.token) for record in records] == records
    assert all(layer.lookup(prefix + bytes(15 - len(prefix)) + bytes([end])) is None for end in (0, 1))
    assert layer.lookup(prefix.ljust(16, b"\xff")) is None
    if prefix and count > RECORDS_MAX:
        assert layer.header.overflow_page_count == -(-count // RECORDS_MAX) - 1


def test_an_account_takes_at_most_24_bytes_at_scale() -> None:
    assert len(built(spread(30_000))) <= 24 * 30_000


def test_an_empty_layer_knows_nobody() -> None:
    assert layer_of([]).lookup(TOKEN) is None


def test_a_layer_names_itself_by_the_hash_of_its_signed_manifest() -> None:
    out = io.BytesIO()
    digest = build_layer([], 0, MANIFEST, SIGN, out)
    assert digest == open_layer(out.getvalue(), VERIFY).digest == sha256(out.getvalue()[2 * 4096 + 2 * 32 :]).digest()


def test_the_format_byte_by_byte() -> None:
    """Written here by hand: whoever changes the layout has to change this test, and the version with it."""
    record = Record(bytes.fromhex("00112233445566778899aabbccddeeff"), 12_800, BUILT_AT + 7_200, 3, True, place=(5, -2))
    page = struct.pack("<HHII4x", 1, 0, 0, 1) + record.token[:10]
    page += struct.pack("<IBB", 12_800, 2, 3 | 8) + (2053 | 2046 << 12).to_bytes(3, "little") + b"\xff\xff"
    page = page.ljust(4096, b"\0")
    header = struct.pack("<8sHIIQQQQIQ3s", b"CFSNAP01", 1, 1, 0, 1, 8192, 64, 8256, UNIT_S, BUILT_AT, b"CNY")
    header = header.ljust(4096, b"\0")
    table = sha256(header).digest() + sha256(page).digest()
    content = built([record])
    assert content[:8256] == header + page + table
    payload = cbor.decode(cose.verify1(content[8256:], KEY.public, typ="counterfoil-snapshot").payload)
    assert payload == {
        "lender": "shoplend", "merchant": "m1", "store": "s1", "lane": None, "lease_epoch": 1,
        "sequence": 7, "base_sequence": 7, "below": None, "built_at": BUILT_AT, "soft_age_s": 3600,
        "hard_age_s": 86_400, "applied_through": {"lane-1": [2, 140]}, "currency": "CNY", "policy_version": 1,
        "origin": [39_904_200, 116_407_400], "pool": None, "records": 1, "digest": sha256(table).digest(),
    }  # fmt: skip


@given(st.lists(st.binary(min_size=10, max_size=10), unique=True, max_size=RECORDS_MAX), st.integers(1, 10**6))
@example([b"\0" * 10, b"\0" * 9 + b"\1"], 1)
def test_a_page_index_is_in_range_and_never_falls_as_keys_rise(keys: list[bytes], page_count: int) -> None:
    indexes = [page_of(key, page_count) for key in sorted(keys)]
    assert indexes == sorted(indexes)
    assert all(1 <= index <= page_count for index in indexes)


@given(st.sets(st.text("ab", min_size=10, max_size=10).map(str.encode), max_size=50), st.data())
def test_a_key_is_found_where_it_stands_and_not_where_two_neighbours_spell_it(
    keys: set[bytes], data: st.DataObject
) -> None:
    ordered = sorted(keys)
    page = pack_page(1, 0, [(key, b"ab" * 5 + b"a") for key in ordered])
    sought = data.draw(
        st.text("ab", min_size=10, max_size=10).map(str.encode) | st.sampled_from(ordered or [b"b" * 10])
    )
    assert find_key(page, len(ordered), sought) == (ordered.index(sought) if sought in keys else None)
