"""The batch: the same entries always give the same totals, and a difference is a sentence."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.journal import Kind
from agent.core.settlement import NAMES, Totals, differences, tally

COUNTED = {
    Kind.AUTHORIZATION: ("approved", "stand_in"),
    Kind.DECLINE: ("declined",),
    Kind.CAPTURE: ("captured",),
    Kind.REVERSAL: ("reversed",),
    Kind.EXPIRY: ("expired",),
    Kind.VOID: ("voided",),
    Kind.REFUND: ("refunded",),
}
entries = st.lists(st.tuples(st.sampled_from(Kind), st.integers(1, 2**40), st.booleans()))


def totals(of: list[tuple[Kind, int, bool]]) -> dict[str, dict[str, int]]:
    found = Totals()
    for kind, minor, is_approved in of:
        found.add(kind, {"amount_minor": minor, "approved": is_approved})
    return found.to_wire()


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_entry_is_counted_or_moves_no_money(kind: Kind) -> None:
    if kind is Kind.ONLINE_OUTCOME:
        assert (tally(kind, {"approved": True}), tally(kind, {"approved": False})) == (("approved",), ("declined",))
    elif kind is Kind.REFUND_OUTCOME:
        assert (tally(kind, {"approved": True}), tally(kind, {"approved": False})) == (("refunded",), ())
    else:
        assert tally(kind, {}) == COUNTED.get(kind, ())


def test_a_day_without_a_sale_shows_its_zeros() -> None:
    assert Totals().to_wire() == {name: {"count": 0, "minor": 0} for name in NAMES}


@given(entries, entries)
def test_totals_of_two_halves_of_a_day_add_up(first: Any, second: Any) -> None:
    whole, one, two = totals(first + second), totals(first), totals(second)
    for name in NAMES:
        assert whole[name] == {unit: one[name][unit] + two[name][unit] for unit in ("count", "minor")}


@given(entries)
def test_the_same_entries_match_in_whatever_order_they_came(of: Any) -> None:
    assert differences(totals(of), totals(list(reversed(of)))) == []


@given(entries, st.sampled_from(sorted(COUNTED)), st.integers(1, 2**40))
def test_one_sale_more_at_one_side_is_named(of: Any, kind: str, minor: int) -> None:
    found = differences(totals(of), totals([*of, (Kind(kind), minor, True)]))
    assert [difference.name for difference in found] == [n for n in NAMES if n in COUNTED[Kind(kind)]]


@pytest.mark.parametrize("theirs", [{}, {"approved": {}}])
def test_a_half_that_lacks_a_total_differs(theirs: Any) -> None:
    assert len(differences(Totals().to_wire(), theirs)) == len(NAMES)
