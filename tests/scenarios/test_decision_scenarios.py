"""Runs tests/scenarios/decision.txt, which a risk officer can read, line by line against the real decision."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from agent.core.decision import Decision, decide
from agent.core.policy import Policy
from agent.core.situation import Situation
from tests.core.situations import HOUR, NOW, POLICY, an_ordinary_sale

LINES = [
    (number, line)
    for number, line in enumerate(Path(__file__).with_name("decision.txt").read_text("utf-8").splitlines(), 1)
    if line.strip() and not line.startswith("#")
]


@dataclass(frozen=True)
class Line:
    """One line on its way to the two arguments of `decide`."""

    situation: Situation
    policy: Policy | None

    def with_(self, **changes: Any) -> "Line":
        return replace(self, situation=replace(self.situation, **changes))


ORDINARY = Line(an_ordinary_sale(sale_amount_minor=1), POLICY)


def minor(text: str) -> int:
    whole, fraction = text.split(".")
    return int(whole) * 100 + int(fraction)


def sold(s: Line, scope: str, count: str, amount: str) -> Line:
    return s.with_(**{f"{scope}_count": int(count), f"{scope}_cumulative_minor": minor(amount)})


AMOUNT = r"(\d+\.\d\d)"
PHRASES: dict[str, Callable[..., Line]] = {
    f"sale {AMOUNT}": lambda s, m: s.with_(sale_amount_minor=minor(m)),
    r"in ([A-Z]{3})": lambda s, c: s.with_(sale_currency=c),
    r"category (\d{4})": lambda s, c: s.with_(sale_merchant_category=c),
    r"tier (\d)": lambda s, t: s.with_(pass_tier=int(t), account_tier=int(t)),
    "phone not verified": lambda s: s.with_(pass_user_verified=False),
    f"pass cap {AMOUNT}": lambda s, m: s.with_(pass_cap_minor=minor(m)),
    "no record": lambda s: s.with_(account_known=False, lease_minor=0, lease_left_s=0),
    "account removed": lambda s: s.with_(account_removed=True),
    "account blocked": lambda s: s.with_(account_blocked=True),
    "step-up always": lambda s: s.with_(account_step_up_always=True),
    f"lease {AMOUNT}": lambda s, m: s.with_(lease_minor=minor(m)),
    "lease until now": lambda s: s.with_(lease_left_s=0),
    "horizon past lease": lambda s: s.with_(lease_left_s=-9),
    f"reserved {AMOUNT}": lambda s, m: s.with_(lease_reserved_minor=minor(m)),
    rf"account (\d+) sales {AMOUNT}": lambda s, n, m: sold(s, "account", n, m),
    rf"lane (\d+) sales {AMOUNT}": lambda s, n, m: sold(s, "lane", n, m),
    rf"cap (\d+) sales {AMOUNT}": lambda s, n, m: sold(s, "cap", n, m),
    "category excluded": lambda s: s.with_(sale_merchant_category="6211"),
    "purpose-bound": lambda s: s.with_(account_purpose_bound=True),
    r"at (\d\d):(\d\d)": lambda s, h, m: s.with_(clock_minute_of_day=60 * int(h) + int(m)),
    r"seen (\d+) km away (\d+) min ago": lambda s, km, m: s.with_(
        travel_known=True, travel_km=int(km), travel_elapsed_s=60 * int(m)
    ),
    rf"just now (\d+) sales {AMOUNT}": lambda s, n, m: s.with_(velocity_count=int(n), velocity_minor=minor(m)),
    r"(\d+) round sales": lambda s, n: s.with_(account_round_count=int(n)),
    r"(\d+) sales of the same amount at the lane": lambda s, n: s.with_(lane_same_amount_count=int(n)),
    r"(\d+) sales just under the limit": lambda s, n: s.with_(account_near_limit_count=int(n)),
    r"(\d+) refunds": lambda s, n: s.with_(account_refund_count=int(n)),
    r"draw (\d+)": lambda s, n: s.with_(probe_draw=int(n)),
    r"snapshot (\d+) h": lambda s, h: s.with_(snapshot_age_s=int(h) * HOUR),
    "no snapshot": lambda s: s.with_(snapshot_sequence=None),
    "clock untrusted": lambda s: s.with_(clock_trusted=False, clock_source="untrusted"),
    "policy expired": lambda s: replace(s, policy=s.policy and replace(s.policy, expires_at=NOW)),
    "no policy": lambda s: replace(s, policy=None),
    "policy too old for snapshot": lambda s: s.with_(snapshot_policy_version_min=8),
    "policy of another lender": lambda s: replace(s, policy=s.policy and replace(s.policy, lender="other")),
}


def read(situation: str) -> Line:
    result = ORDINARY
    for phrase in situation.split(","):
        matches = [(act, m) for text, act in PHRASES.items() if (m := re.fullmatch(text, phrase.strip()))]
        assert len(matches) == 1, f"no one meaning for {phrase.strip()!r}"
        act, match = matches[0]
        result = act(result, *match.groups())
    return result


def decided(situation: str) -> Decision:
    line = read(situation)
    return decide(line.situation, line.policy)


def told(decision: Decision) -> str:
    """The decision in the words of the scenario file."""
    answer = f"approved by {decision.funding}" if decision.approved else f"{decision.response_code} {decision.reason}"
    fired = f" [{' '.join(rule.rule_id for rule in decision.fired)}]" if decision.fired else ""
    return answer + fired + (", ask backend" if decision.go_online else "")


@pytest.mark.parametrize(("number", "line"), LINES, ids=[f"line-{number}" for number, _ in LINES])
def test_each_line_of_the_scenario_file_holds(number: int, line: str) -> None:
    situation, answer = line.split("->")
    assert told(decided(situation)) == " ".join(answer.split()), f"decision.txt:{number}"


def test_every_rule_of_the_default_policy_speaks_in_some_line() -> None:
    spoken = {rule.rule_id for _, line in LINES for rule in decided(line.split("->")[0]).fired}
    assert {rule.id for rule in POLICY.rules} <= spoken


def test_every_phrase_is_used() -> None:
    phrases = {phrase.strip() for _, line in LINES for phrase in line.split("->")[0].split(",")}
    assert not [text for text in PHRASES if not any(re.fullmatch(text, phrase) for phrase in phrases)]
