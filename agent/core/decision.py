"""The stand-in decision: a pure function from a situation and a policy to an answer.

The one rule: what cannot be proved good is refused. Same input, same answer, bit for bit, so every decision is
replayed from its own entry (`agent.core.replay`). The first row that speaks gives the answer; `fired` names all that
spoke.

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
from typing import Final, Literal

from agent.core.cel_rules import Outcome, Value, evaluate_all
from agent.core.derived import rule_values, spendable_minor
from agent.core.policy import Policy
from agent.core.policy_rules import Effect, Rule
from agent.core.policy_vocabulary import Limits
from agent.core.situation import Situation

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


def decide(situation: Situation, policy: Policy | None) -> Decision:
    """Stand in for the backend, or refuse to. The pass is verified already and bound to this sale. Raises nothing."""
    reason = _refused_by_state(situation, policy)
    if reason is not None:
        verdict = _Verdict(reason=reason)
    else:
        assert policy is not None  # row 2
        verdict = _judge(situation, policy)
    return Decision(
        approved=verdict.approved,
        response_code=verdict.response_code,
        reason=verdict.text_key,
        fired=verdict.fired,
        funding=verdict.funding if verdict.approved else None,
        spend_minor=situation.sale_amount_minor if verdict.approved else 0,
        policy_version=policy.version if policy else None,
        snapshot_sequence=situation.snapshot_sequence,
        clock_source=situation.clock_source,
        flags=tuple(rule.id for rule, _ in verdict.spoken if rule.effect == "flag"),
        go_online=verdict.go_online,
    )


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


def _refused_by_state(situation: Situation, policy: Policy | None) -> str | None:
    """Rows 1 to 6: the state of the lane and of the account, before any rule is asked."""
    if not situation.clock_trusted:
        return "clock_untrusted"
    if policy is None or policy.lender != situation.lender or policy.expires_at <= situation.clock_at_s:
        return "policy_expired"
    if situation.snapshot_sequence is None:
        return "snapshot_missing"
    if policy.version < situation.snapshot_policy_version_min:
        return "policy_expired"
    if situation.snapshot_age_s >= situation.snapshot_hard_age_s:
        return "snapshot_age"
    if situation.sale_currency != policy.currency:
        return "currency_mismatch"
    if situation.account_removed:
        return "no_record"
    return "account_blocked" if situation.account_blocked else None


def _judge(situation: Situation, policy: Policy) -> _Verdict:
    """Rows 7 to 10. Every rule is asked, so that the record shows all that spoke."""
    spoken = spoken_rules(policy.rules, rule_values(situation, policy))
    if rule := _first(spoken, "decline", "refer"):
        return _Verdict(rule=rule, spoken=spoken)
    funding, reason = _fund(situation, policy.limits)
    rule = None if reason else _first(spoken, "step_up")
    return _Verdict(rule, reason, funding, spoken)


def _fund(situation: Situation, limits: Limits) -> tuple[Funding, str | None]:
    """Row 8: what pays for the sale, and the reason why it does not."""
    if not situation.account_known:
        return "cap", _refused_by_cap(situation, limits)
    if situation.lease_left_s <= 0:
        return "lease", "lease_lapsed"
    return "lease", "lease_exceeded" if situation.sale_amount_minor > spendable_minor(situation) else None


def _refused_by_cap(situation: Situation, limits: Limits) -> str | None:
    cap_minor = min(situation.pass_cap_minor, limits.cap_minor_max)
    if cap_minor == 0:
        return "no_record"
    amount_minor = situation.sale_amount_minor
    total_minor = situation.cap_cumulative_minor + amount_minor
    return "cap_exceeded" if amount_minor > cap_minor or total_minor > limits.cap_account_cumulative_minor else None


def spoken_rules(rules: Sequence[Rule], values: dict[str, Value]) -> tuple[tuple[Rule, Outcome], ...]:
    """The rules that fired or could not be evaluated, in the document's order: an error counts as fired."""
    outcomes = evaluate_all([rule.compiled for rule in rules], values)
    return tuple((rule, outcome) for rule, outcome in zip(rules, outcomes, strict=True) if outcome != "quiet")


def _first(spoken: Sequence[tuple[Rule, Outcome]], *effects: Effect) -> Rule | None:
    return next((rule for rule, _ in spoken if rule.effect in effects), None)
