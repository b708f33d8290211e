"""The stand-in decision: a pure function from sale, pass, snapshot, exposure, policy and clock to an answer.

The one rule: what cannot be proved good is refused. Same input, same answer, bit for bit, so every decision can be
replayed from the journal. The first row that speaks gives the answer; `fired` names all that spoke.

| order | what                  | reason                                  | code | backend may help           |
| ----- | --------------------- | --------------------------------------- | ---- | -------------------------- |
| 1     | clock not trusted     | clock_untrusted                         | 96   | yes                        |
| 2     | no valid policy       | policy_expired                          | 91   | yes                        |
| 3     | no snapshot, too old  | snapshot_missing, snapshot_age          | 91   | yes                        |
| 4     | another currency      | currency_mismatch                       | 13   | no                         |
| 5     | account removed       | no_record                               | 91   | yes                        |
| 6     | account blocked       | account_blocked                         | 05   | no                         |
| 7     | policy rules: decline, refer, in the document's order | the rule's | the rule's | by its code  |
| 8     | lease of the account  | lease_lapsed, lease_exceeded            | 91, 61 | yes                      |
|       | no record: pass's cap | no_record, cap_exceeded                 | 91, 61 | yes                      |
| 9     | policy rules: step_up | the rule's                              | 1A   | no                         |
| 10    | else                  | approved_offline                        | 00   | if a go_online rule fired  |

Rows 1 to 6 and 8 are promises: no policy switches them off. Step-up comes last, so that nobody is asked to unlock the
phone for a sale that is refused afterwards. A blocked account answers 05, not 43: the lane knows that the lender
blocked it, not that a phone was stolen, and the counter must not accuse. A lapsed lease answers 91, not 54: nothing of
the customer's has expired.

Whenever the line is up, the checkout asks the backend before it comes here, whatever the policy says. So `go_online`
and `flags` hold no sale up and start no question: they explain, and the rules behind them are journaled with the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from agent.core.cel_rules import Outcome, Value, evaluate_all
from agent.core.leases import is_spendable
from agent.core.policy import Effect, Policy, Rule
from agent.core.policy_vocabulary import Limits
from agent.core.situation import Clock, Exposure, LeaseView, Sale, SnapshotView, Totals

if TYPE_CHECKING:
    from agent.core.credit_pass import CreditPass
    from agent.core.snapshot_layer import Record

__all__ = [
    "APPROVED",
    "BACKEND_MAY_HELP",
    "RESPONSE_CODES",
    "Clock",
    "Decision",
    "Exposure",
    "Funding",
    "LeaseView",
    "RuleOutcome",
    "Sale",
    "SnapshotView",
    "Totals",
    "decide",
    "shrunk_minor",
]

Funding = Literal["lease", "cap"]

APPROVED: Final = "approved_offline"

# Reasons that no policy states, with their ISO 8583 field 39 value.
RESPONSE_CODES: Final[dict[str, str]] = {
    APPROVED: "00",
    "clock_untrusted": "96",
    "policy_expired": "91",
    "snapshot_missing": "91",
    "snapshot_age": "91",
    "currency_mismatch": "13",
    "no_record": "91",
    "account_blocked": "05",
    "lease_lapsed": "91",
    "lease_exceeded": "61",
    "cap_exceeded": "61",
}

# Codes that say "not by this lane alone": the backend has more data and may still approve.
BACKEND_MAY_HELP: Final = frozenset({"61", "65", "91", "96"})


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """A rule that spoke: by its condition, or because the condition could not be evaluated (error)."""

    rule_id: str
    effect: Effect
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer with all that explains it. `spend_minor` is 0 unless approved; `reason` is a text key."""

    approved: bool
    response_code: str
    reason: str
    fired: tuple[RuleOutcome, ...]
    funding: Funding | None
    spend_minor: int
    policy_version: int | None
    snapshot_sequence: int | None
    clock_source: str
    flags: tuple[str, ...]
    go_online: bool


def decide(  # noqa: PLR0917  # the six things that a decision looks at, in the order of the story
    sale: Sale,
    credit_pass: CreditPass,
    snapshot: SnapshotView | None,
    exposure: Exposure,
    policy: Policy | None,
    clock: Clock,
) -> Decision:
    """Stand in for the backend, or refuse to. The pass is verified already and bound to this sale. Raises nothing."""
    reason = _refused_by_state(sale, credit_pass, snapshot, policy, clock)
    if reason is not None:
        verdict = _Verdict(reason=reason)
    else:
        assert policy is not None and snapshot is not None  # rows 2 and 3
        verdict = _judge(_Case(sale, credit_pass, snapshot, exposure, policy, clock))
    return Decision(
        approved=verdict.approved,
        response_code=verdict.response_code,
        reason=verdict.text_key,
        fired=verdict.fired,
        funding=verdict.funding if verdict.approved else None,
        spend_minor=sale.amount.minor if verdict.approved else 0,
        policy_version=policy.version if policy else None,
        snapshot_sequence=snapshot.sequence if snapshot else None,
        clock_source=clock.source,
        flags=tuple(rule.id for rule, _ in verdict.spoken if rule.effect == "flag"),
        go_online=verdict.go_online,
    )


def shrunk_minor(minor: int, age_s: int, soft_age_s: int, hard_age_s: int) -> int:
    """An allowance by the age of its layer: whole up to the soft age, then linearly down to 0 at the hard age.

    Integer arithmetic, rounded down to a minor unit.
    """
    if age_s >= hard_age_s:
        return 0
    if age_s <= soft_age_s:
        return minor
    return minor * (hard_age_s - age_s) // (hard_age_s - soft_age_s)


@dataclass(frozen=True, slots=True)
class _Case:
    """All inputs of one decision, once policy and snapshot are known to be there."""

    sale: Sale
    credit_pass: CreditPass
    snapshot: SnapshotView
    exposure: Exposure
    policy: Policy
    clock: Clock

    @property
    def record(self) -> Record | None:
        return self.snapshot.record


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The row that answered: a rule, or a reason of this module, or neither (approved); and all rules that spoke."""

    rule: Rule | None = None
    reason: str | None = None
    funding: Funding | None = None
    spoken: tuple[tuple[Rule, Outcome], ...] = ()

    @property
    def approved(self) -> bool:
        return self.rule is None and self.reason is None

    @property
    def text_key(self) -> str:
        return self.rule.reason if self.rule else self.reason or APPROVED

    @property
    def response_code(self) -> str:
        return self.rule.response_code if self.rule else RESPONSE_CODES[self.reason or APPROVED]

    @property
    def fired(self) -> tuple[RuleOutcome, ...]:
        by_rules = tuple(RuleOutcome(rule.id, rule.effect, outcome) for rule, outcome in self.spoken)
        return by_rules + ((RuleOutcome(self.reason, "decline", "fired"),) if self.reason else ())

    @property
    def go_online(self) -> bool:
        if self.approved:
            return any(rule.effect == "go_online" for rule, _ in self.spoken)
        return self.response_code in BACKEND_MAY_HELP or (self.rule is not None and self.rule.effect == "refer")


def _refused_by_state(
    sale: Sale, credit_pass: CreditPass, snapshot: SnapshotView | None, policy: Policy | None, clock: Clock
) -> str | None:
    """Rows 1 to 6: the state of the lane and of the account, before any rule is asked."""
    if not clock.trusted:
        return "clock_untrusted"
    if policy is None or policy.lender != credit_pass.credential.lender or policy.expires_at <= clock.at_s:
        return "policy_expired"
    if snapshot is None:
        return "snapshot_missing"
    if policy.version < snapshot.policy_version_min:
        return "policy_expired"
    if snapshot.age_s(clock.at_s) >= snapshot.hard_age_s:
        return "snapshot_age"
    if sale.amount.currency != policy.currency:
        return "currency_mismatch"
    if snapshot.record is not None and snapshot.record.removed:
        return "no_record"
    if snapshot.record is not None and snapshot.record.blocked:
        return "account_blocked"
    return None


def _judge(case: _Case) -> _Verdict:
    """Rows 7 to 10. Every rule is asked, so that the record shows all that spoke."""
    spoken = _spoken(case.policy.rules, _values(case))
    if rule := _first(spoken, "decline", "refer"):
        return _Verdict(rule=rule, spoken=spoken)
    funding, reason = _fund(case)
    rule = None if reason else _first(spoken, "step_up")
    return _Verdict(rule, reason, funding, spoken)


def _fund(case: _Case) -> tuple[Funding, str | None]:
    """Row 8: what pays for the sale, and the reason why it does not."""
    if case.record is None:
        return "cap", _refused_by_cap(case, case.policy.limits)
    return "lease", _refused_by_lease(case)


def _refused_by_lease(case: _Case) -> str | None:
    lease = case.exposure.lease
    if lease is None:
        return "lease_exceeded"
    if not is_spendable(lease.valid_until_s, now_s=case.clock.now_s, horizon_s=case.clock.horizon_s):
        return "lease_lapsed"
    return "lease_exceeded" if case.sale.amount.minor > _spendable_minor(case) else None


def _spendable_minor(case: _Case) -> int:
    """What the lease still pays at the age of its layer, and never more than a debit of this sale has reserved."""
    lease, layer = case.exposure.lease, case.snapshot
    if lease is None:
        return 0
    left = shrunk_minor(lease.remaining_minor, layer.age_s(case.clock.at_s), layer.soft_age_s, layer.hard_age_s)
    return min(left, lease.reserved_minor) if lease.reserved_minor else left


def _refused_by_cap(case: _Case, limits: Limits) -> str | None:
    cap_minor = min(case.credit_pass.credential.cap_minor, limits.cap_minor_max)
    if cap_minor == 0:
        return "no_record"
    amount_minor = case.sale.amount.minor
    total_minor = case.exposure.cap.amount_minor + amount_minor
    return "cap_exceeded" if amount_minor > cap_minor or total_minor > limits.cap_account_cumulative_minor else None


def _values(case: _Case) -> dict[str, Value]:
    """The situation under the names of `policy_vocabulary.RULE_VARIABLES`: exactly these."""
    credential, exposure, layer = case.credit_pass.credential, case.exposure, case.snapshot
    return case.policy.variables(case.sale.merchant_category) | {
        "sale_amount_minor": case.sale.amount.minor,
        "sale_merchant_category": case.sale.merchant_category,
        "pass_tier": credential.tier,
        "pass_user_verified": case.credit_pass.proof.user_verified,
        "pass_cap_minor": credential.cap_minor,
        "account_known": case.record is not None,
        "account_tier": case.record.tier if case.record else credential.tier,
        "account_step_up_always": case.record is not None and case.record.step_up,
        "account_count": exposure.account.count,
        "account_cumulative_minor": exposure.account.amount_minor,
        "lane_count": exposure.lane.count,
        "lane_cumulative_minor": exposure.lane.amount_minor,
        "cap_count": exposure.cap.count,
        "cap_cumulative_minor": exposure.cap.amount_minor,
        "lease_remaining_minor": _spendable_minor(case),
        "snapshot_age_s": layer.age_s(case.clock.at_s),
        "snapshot_soft_age_s": layer.soft_age_s,
        "snapshot_hard_age_s": layer.hard_age_s,
        "clock_source": case.clock.source,
    }


def _spoken(rules: Sequence[Rule], values: dict[str, Value]) -> tuple[tuple[Rule, Outcome], ...]:
    """The rules that fired or could not be evaluated, in the document's order: an error counts as fired."""
    outcomes = evaluate_all([rule.compiled for rule in rules], values)
    return tuple((rule, outcome) for rule, outcome in zip(rules, outcomes, strict=True) if outcome != "quiet")


def _first(spoken: Sequence[tuple[Rule, Outcome]], *effects: Effect) -> Rule | None:
    return next((rule for rule, _ in spoken if rule.effect in effects), None)
