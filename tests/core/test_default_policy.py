"""The rules of the default policy never fail at a sale: whatever a situation holds, each of them answers."""

from hypothesis import given
from hypothesis import strategies as st

from agent.core import probe
from agent.core.cel_rules import Value, evaluate_all
from agent.core.decision import decide
from agent.core.policy_vocabulary import ONLINE_VARIABLES, RULE_VARIABLES
from agent.core.situation import FIELDS, OF_THE_LANE_ALONE, Situation
from tests.core.situations import POLICY


def within_range(name: str) -> st.SearchStrategy[Value]:
    low, high = RULE_VARIABLES[name].low, RULE_VARIABLES[name].high
    if isinstance(low, bool):
        return st.booleans()
    if isinstance(low, str):
        return st.sampled_from(["5411", "5944", "6211", "signed", ""])
    return st.sampled_from([int(low), int(high)]) | st.integers(int(low), int(high))


NAMES = {name for rule in POLICY.rules for name in rule.compiled.variables}
VALUES = st.fixed_dictionaries({name: within_range(name) for name in sorted(NAMES)})
TEXTS = {"lender": "demo", "sale_currency": "CNY", "sale_merchant_category": "5411", "clock_source": "signed"}


def anything(name: str) -> st.SearchStrategy[Value]:
    low, high = FIELDS[name].low, FIELDS[name].high
    if isinstance(low, str):
        return st.just(TEXTS[name])
    return st.booleans() if isinstance(low, bool) else st.integers(int(low), int(high))


@given(VALUES)
def test_no_rule_errs_for_values_within_their_ranges(values: dict[str, Value]) -> None:
    """Only sums and products near the largest amounts could, and those count as fired."""
    small = {name: min(value, 10**9) if type(value) is int else value for name, value in values.items()}
    assert "error" not in list(evaluate_all([rule.compiled for rule in POLICY.rules], small))
    assert len(list(evaluate_all([rule.compiled for rule in POLICY.rules], values))) == len(POLICY.rules)


@given(st.builds(Situation, **{name: anything(name) for name in FIELDS}))
def test_a_decision_of_any_situation_is_an_answer(situation: Situation) -> None:
    assert decide(situation, POLICY).response_code


def test_rules_for_everywhere_name_only_what_a_backend_knows() -> None:
    everywhere = [rule for rule in POLICY.rules if rule.scope == "always"]
    assert everywhere and all(set(rule.compiled.variables) <= ONLINE_VARIABLES.keys() for rule in everywhere)
    assert not ONLINE_VARIABLES.keys() & OF_THE_LANE_ALONE


def test_the_default_policy_has_every_rule_that_was_asked_for() -> None:
    assert len(POLICY.rules) >= 25


def test_a_draw_is_even_and_depends_on_both_halves() -> None:
    draws = [probe.draw(b"h" * 32, number.to_bytes(8, "big")) for number in range(10_000)]
    assert set(draws) == set(range(100)) and max(draws.count(value) for value in range(100)) < 160
    assert probe.draw(b"h" * 32, bytes(8)) != probe.draw(b"i" * 32, bytes(8))


@given(st.integers(1, 200_000), st.integers(0, 200_000), st.integers(0, 100), st.integers(0, 100))
def test_the_part_that_is_selected_rises_from_the_threshold_to_the_floor_limit(
    amount: int, threshold: int, low: int, more: int
) -> None:
    high, floor = min(100, low + more), 100_000

    def selected(minor: int) -> int:
        return probe.percent(minor, threshold_minor=threshold, floor_minor=floor, low=low, high=high)

    assert low <= selected(amount) <= selected(amount + 1) <= high
    assert selected(max(floor, threshold)) == high
    if amount < threshold:
        assert selected(amount) == low
