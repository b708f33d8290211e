"""The journal: the same bytes for ever, and a chain from which nothing can be taken, changed or added unseen."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import cbor
from agent.core.journal import (
    ENTRY_BYTES_MAX,
    GENESIS_HASH,
    Draft,
    Entry,
    Head,
    JournalError,
    Kind,
    Sealed,
    advance,
    digest,
    follow,
    open_entry,
    seal,
    upload_statement,
)

HEAD = Head("lane-01", 1)
BODY = {"amount_minor": 3000, "currency": "CNY", "account": bytes(16), "lease": {"epoch": 1, "delta_minor": 3000}}
GOLDEN = (
    "8d01676c616e652d30310103582000000000000000000000000000000000000000000000000000000000000000001a6b49d20082f5181e"
    "1a6b49d2006d617574686f72697a6174696f6e6873686f706c656e646973616c652d3030303101a4656c65617365a26565706f6368016b"
    "64656c74615f6d696e6f72190bb8676163636f756e7450000000000000000000000000000000006863757272656e637963434e596c616d"
    "6f756e745f6d696e6f72190bb8"
)
GOLDEN_HASH = "4ad0ac112f30a2bb348f84c0460211cf4e1490ff49440123c132faf843afecc1"


def chain(count: int, head: Head = HEAD, *, horizon: int = 0) -> list[Sealed]:
    links = []
    for number in range(count):
        draft = Draft(Kind.CAPTURE, {"amount_minor": number}, "shoplend", "sale-0001", 1)
        links.append(seal(draft, head, recorded_at=100 + number, clock=(True, 0), lease_horizon=horizon))
        head = advance(head, links[-1])
    return links


def refusal(head: Head, upload: list[bytes]) -> str:
    with pytest.raises(JournalError) as refused:
        list(follow(head, upload))
    return refused.value.reason


def changed(sealed: Sealed, **fields: Any) -> bytes:
    return replace(sealed.entry, **fields).encode()


def test_the_canonical_bytes_and_their_hash_never_change() -> None:
    entry = Entry(
        version=1,
        lane="lane-01",
        epoch=1,
        number=3,
        previous=GENESIS_HASH,
        recorded_at=1_800_000_000,
        clock=(True, 30),
        lease_horizon=1_800_000_000,
        kind="authorization",
        lender="shoplend",
        sale_id="sale-0001",
        attempt=1,
        body=BODY,
    )
    assert entry.encode().hex() == GOLDEN
    assert digest(entry.encode()).hex() == GOLDEN_HASH
    assert open_entry(bytes.fromhex(GOLDEN)).entry == entry


def test_a_chain_is_followed_link_by_link_from_nothing_to_its_head() -> None:
    links = chain(5)
    head = HEAD
    for sealed in follow(HEAD, [link.data for link in links]):
        head = advance(head, sealed)
    assert (head.number, head.hash) == (5, links[-1].hash)
    assert [sealed.entry.number for sealed in links] == [1, 2, 3, 4, 5]


BREAKS = {
    "an entry is missing": ("gap", lambda links: [links[0].data, links[2].data]),
    "an entry comes twice": ("gap", lambda links: [links[0].data, links[0].data]),
    "an entry has another past": ("fork", lambda links: [links[0].data, changed(links[1], previous=b"x" * 32)]),
    "an entry was altered": (
        "fork",
        lambda links: [changed(links[0], body={"amount_minor": 1}), links[1].data],
    ),
    "an entry is another lane's": ("other_lane", lambda links: [changed(links[0], lane="lane-02")]),
    "an entry is another epoch's": ("other_lane", lambda links: [changed(links[0], epoch=2)]),
    "an entry is of a later version": ("version", lambda links: [changed(links[0], version=2)]),
    "an entry lowers the horizon": (
        "horizon",
        lambda links: [links[0].data, changed(links[1], lease_horizon=links[0].entry.lease_horizon - 1)],
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_chain_is_refused_where(name: str) -> None:
    reason, upload = BREAKS[name]
    assert refusal(HEAD, upload(chain(3, horizon=500))) == reason


def test_what_came_before_a_broken_link_is_still_given() -> None:
    links, seen = chain(3), []
    with pytest.raises(JournalError):
        for sealed in follow(HEAD, [links[0].data, links[2].data]):
            seen.append(sealed.entry.number)
    assert seen == [1]


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=8))
def test_the_lease_horizon_never_goes_back_whatever_the_clock_says(horizons: list[int]) -> None:
    head = HEAD
    for horizon in horizons:
        draft = Draft(Kind.PRINT, {}, "shoplend")
        sealed = seal(draft, head, recorded_at=0, clock=(False, 0), lease_horizon=horizon)
        assert sealed.entry.lease_horizon >= head.horizon_of("shoplend")
        head = advance(head, sealed)
    assert head.horizon_of("shoplend") == max(horizons)


@given(st.lists(st.tuples(st.sampled_from(["shoplend", "other", None]), st.integers(0, 2**40)), max_size=12))
def test_each_lender_has_a_horizon_of_its_own_and_an_entry_of_none_moves_none(
    said: list[tuple[str | None, int]],
) -> None:
    head, links = HEAD, []
    for lender, horizon in said:
        draft = Draft(Kind.PRINT, {}, lender)
        links.append(seal(draft, head, recorded_at=0, clock=(True, 0), lease_horizon=horizon))
        head = advance(head, links[-1])
    assert all(sealed.entry.lease_horizon == 0 for sealed in links if sealed.entry.lender is None)
    for lender in ("shoplend", "other"):
        assert head.horizon_of(lender) == max((at for name, at in said if name == lender), default=0)
    assert head.horizon_of(None) == 0
    assert list(follow(HEAD, [link.data for link in links])) == links, "one lender's later time lowers no other's"


scalars = st.none() | st.booleans() | st.integers(0, 2**53 - 1) | st.text(max_size=20) | st.binary(max_size=32)
bodies = st.dictionaries(st.text(max_size=12), scalars | st.lists(scalars, max_size=3), max_size=5)


@given(bodies, st.integers(0, 2**53 - 1), st.sampled_from([*Kind, "of_a_later_version"]), st.integers(-(2**40), 2**40))
def test_an_entry_reads_back_as_it_was_and_encodes_to_the_same_bytes(
    body: dict[str, Any], at: int, kind: str, offset: int
) -> None:
    sealed = seal(Draft(kind, body, "x", "y", 2), HEAD, recorded_at=at, clock=(True, offset), lease_horizon=at)
    opened = open_entry(sealed.data)
    assert opened == sealed
    assert opened.entry.encode() == sealed.data
    assert opened.hash == digest(sealed.data)


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused_with_the_one_typed_error(data: bytes) -> None:
    with pytest.raises(JournalError):
        open_entry(data)


any_cbor = st.recursive(
    scalars | st.integers(2**53, 2**64 - 1) | st.integers(-(2**64), -1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.integers(0, 12), any_cbor)
def test_an_entry_with_one_field_of_another_shape_is_refused_or_opens_to_the_same_bytes(place: int, value: Any) -> None:
    fields: Any = cbor.decode(chain(1)[0].data)
    fields[place] = value
    data = cbor.encode(fields)
    try:
        opened = open_entry(data)
    except JournalError as error:
        assert error.reason in ("malformed", "version")
    else:
        assert opened.entry.encode() == data


@pytest.mark.parametrize("place", [2, 3, 5, 7, 11])
@pytest.mark.parametrize("number", [-1, 2**53, 2**64 - 1])
def test_a_number_that_no_database_keeps_exactly_is_refused(place: int, number: int) -> None:
    fields: Any = cbor.decode(chain(1)[0].data)
    fields[place] = number
    with pytest.raises(JournalError, match="malformed"):
        open_entry(cbor.encode(fields))


def test_an_entry_of_more_bytes_than_any_lane_writes_is_refused_unread() -> None:
    with pytest.raises(JournalError, match="malformed"):
        open_entry(bytes(ENTRY_BYTES_MAX + 1))


def test_the_statement_of_an_upload_names_where_it_ends() -> None:
    links = chain(3)
    head = advance(replace(HEAD, number=2), links[2])
    assert cbor.decode(upload_statement(head, 1, 3)) == ["lane-01", 1, 1, 3, links[2].hash]
    assert upload_statement(head, 1, 3) != upload_statement(replace(head, hash=links[1].hash), 1, 3)
