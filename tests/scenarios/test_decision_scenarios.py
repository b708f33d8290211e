"""Runs tests/scenarios/decision.txt, which a risk officer can read, line by line against the real decision."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.core.cose import SigningKey
from agent.core.credit_pass import Credential, CreditPass, Proof
from agent.core.decision import Clock, Decision, Exposure, LeaseView, Sale, SnapshotView, Totals, decide
from agent.core.default_policy import default_policy
from agent.core.money import Money
from agent.core.policy import Policy, parse_policy
from agent.core.snapshot_layer import Record

NOW, HOUR = 1_800_000_000, 3_600
ACCOUNT = b"account-token-16"
PHONE = SigningKey.from_seed("ed25519", b"f" * 32).public
POLICY = parse_policy(default_policy("demo", version=7, issued_at=NOW - HOUR, expires_at=NOW + HOUR))
LINES = [
    (number, line)
    for number, line in enumerate(Path(__file__).with_name("decision.txt").read_text("utf-8").splitlines(), 1)
    if line.strip() and not line.startswith("#")
]


@dataclass(frozen=True)
class Situation:
    """One line on its way to the six arguments of `decide`."""

    amount: Money
    category: str
    credential: Credential
    verified: bool
    snapshot: SnapshotView | None
    record: Record | None
    exposure: Exposure
    policy: Policy | None
    clock: Clock

    def decide(self) -> Decision:
        return decide(
            Sale("sale-0001", self.amount, self.category),
            CreditPass(self.credential, Proof(NOW, b"8 random", self.verified), b"kid8byte"),
            self.snapshot and replace(self.snapshot, record=self.record),
            self.exposure,
            self.policy,
            self.clock,
        )


ORDINARY = Situation(
    amount=Money(1, "CNY"),
    category="5411",
    credential=Credential("demo", ACCOUNT, NOW, NOW + HOUR, PHONE, cap_minor=8_000, tier=2),
    verified=True,
    snapshot=SnapshotView(12, NOW - HOUR, 24 * HOUR, 72 * HOUR, None),
    record=Record(ACCOUNT, 50_000, NOW + HOUR, tier=2),
    exposure=Exposure(LeaseView(1, 50_000, NOW + HOUR)),
    policy=POLICY,
    clock=Clock(NOW, True, "signed"),
)


def minor(text: str) -> int:
    whole, fraction = text.split(".")
    return int(whole) * 100 + int(fraction)


def totals(count: str, amount: str) -> Totals:
    return Totals(int(count), minor(amount))


def with_record(s: Situation, **changes: object) -> Situation:
    return replace(s, record=s.record and replace(s.record, **changes))  # type: ignore[arg-type]


def with_lease(s: Situation, **changes: int) -> Situation:
    return replace(s, exposure=replace(s.exposure, lease=s.exposure.lease and replace(s.exposure.lease, **changes)))


def with_exposure(s: Situation, **changes: Totals | None) -> Situation:
    return replace(s, exposure=replace(s.exposure, **changes))  # type: ignore[arg-type]


def with_pass(s: Situation, **changes: object) -> Situation:
    return replace(s, credential=replace(s.credential, **changes))  # type: ignore[arg-type]


def with_snapshot(s: Situation, **changes: int) -> Situation:
    return replace(s, snapshot=s.snapshot and replace(s.snapshot, **changes))  # type: ignore[arg-type]


AMOUNT = r"(\d+\.\d\d)"
PHRASES: dict[str, Callable[..., Situation]] = {
    f"sale {AMOUNT}": lambda s, m: replace(s, amount=Money(minor(m), "CNY")),
    r"in ([A-Z]{3})": lambda s, c: replace(s, amount=replace(s.amount, currency=c)),
    r"category (\d{4})": lambda s, c: replace(s, category=c),
    r"tier (\d)": lambda s, t: with_record(with_pass(s, tier=int(t)), tier=int(t)),
    "phone not verified": lambda s: replace(s, verified=False),
    f"pass cap {AMOUNT}": lambda s, m: with_pass(s, cap_minor=minor(m)),
    "no record": lambda s: with_exposure(replace(s, record=None), lease=None),
    "account removed": lambda s: with_record(s, removed=True),
    "account blocked": lambda s: with_record(s, blocked=True),
    "step-up always": lambda s: with_record(s, step_up=True),
    f"lease {AMOUNT}": lambda s, m: with_lease(s, remaining_minor=minor(m)),
    "no lease": lambda s: with_exposure(s, lease=None),
    "lease until now": lambda s: with_lease(s, valid_until_s=NOW),
    "horizon past lease": lambda s: with_lease(
        replace(s, clock=replace(s.clock, horizon_s=NOW + 9)), valid_until_s=NOW + 9
    ),
    f"reserved {AMOUNT}": lambda s, m: with_lease(s, reserved_minor=minor(m)),
    rf"account (\d+) sales {AMOUNT}": lambda s, n, m: with_exposure(s, account=totals(n, m)),
    rf"lane (\d+) sales {AMOUNT}": lambda s, n, m: with_exposure(s, lane=totals(n, m)),
    rf"cap (\d+) sales {AMOUNT}": lambda s, n, m: with_exposure(s, cap=totals(n, m)),
    r"snapshot (\d+) h": lambda s, h: with_snapshot(s, built_at=NOW - int(h) * HOUR),
    "no snapshot": lambda s: replace(s, snapshot=None),
    "clock untrusted": lambda s: replace(s, clock=replace(s.clock, trusted=False, source="untrusted")),
    "policy expired": lambda s: replace(s, policy=s.policy and replace(s.policy, expires_at=NOW)),
    "no policy": lambda s: replace(s, policy=None),
    "policy too old for snapshot": lambda s: with_snapshot(s, policy_version_min=8),
    "policy of another lender": lambda s: replace(s, policy=s.policy and replace(s.policy, lender="other")),
}


def read(situation: str) -> Situation:
    result = ORDINARY
    for phrase in situation.split(","):
        matches = [(act, m) for text, act in PHRASES.items() if (m := re.fullmatch(text, phrase.strip()))]
        assert len(matches) == 1, f"no one meaning for {phrase.strip()!r}"
        act, match = matches[0]
        result = act(result, *match.groups())
    return result


def told(decision: Decision) -> str:
    """The decision in the words of the scenario file."""
    answer = f"approved by {decision.funding}" if decision.approved else f"{decision.response_code} {decision.reason}"
    fired = f" [{' '.join(rule.rule_id for rule in decision.fired)}]" if decision.fired else ""
    return answer + fired + (", ask backend" if decision.go_online else "")


@pytest.mark.parametrize(("number", "line"), LINES, ids=[f"line-{number}" for number, _ in LINES])
def test_each_line_of_the_scenario_file_holds(number: int, line: str) -> None:
    situation, answer = line.split("->")
    assert told(read(situation).decide()) == " ".join(answer.split()), f"decision.txt:{number}"


def test_every_rule_of_the_default_policy_speaks_in_some_line() -> None:
    spoken = {rule.rule_id for _, line in LINES for rule in read(line.split("->")[0]).decide().fired}
    assert {rule.id for rule in POLICY.rules} <= spoken


def test_every_phrase_is_used() -> None:
    phrases = {phrase.strip() for _, line in LINES for phrase in line.split("->")[0].split(",")}
    assert not [text for text in PHRASES if not any(re.fullmatch(text, phrase) for phrase in phrases)]
