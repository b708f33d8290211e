"""Why the lane decided as it did: everything that the decision asked, in its order, with the values that it saw.

The one rule: only what was decided again is explained. Outcomes and values come from the replay of the entry's own
record under the policy of its time, never from a second reading of the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from agent.core.cel_rules import Value
from agent.core.decision import RESPONSE_CODES, Decision
from agent.core.derived import rule_values
from agent.core.journal import Entry
from agent.core.policy import Policy, Rule
from agent.core.replay import replay
from agent.core.situation import Situation

Said = Literal["fired", "quiet", "error", "not_asked"]
Seen = Value | None
ALWAYS: Final = "always"
"""The effect of a check that no policy switches off."""


class Row(NamedTuple):
    """A check of ``decision`` that is no rule: its reason, when it speaks, and what its figures rest on besides."""

    reason: str
    when: str
    rests_on: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it looks at."""
        return tuple(dict.fromkeys(word for word in _NAME.findall(self.when) if word != "null")) + self.rests_on


_NAME: Final = re.compile("[a-z_]+")
_AGES: Final = ("snapshot_age_s", "snapshot_soft_age_s", "snapshot_hard_age_s")

REMOVED: Final = Row("no_record", "account_removed")
NO_CAP: Final = Row("no_record", "pass_cap_minor == 0 || cap_minor_max == 0")
"""One reason: of a removed account the first says it, of an unknown one the second, and nobody reads both."""

STATE: Final = (
    Row("clock_untrusted", "!clock_trusted", ("clock_source", "clock_at_s")),
    Row(
        "policy_expired",
        "policy_version == null || policy_lender != lender || policy_expires_at <= clock_at_s"
        " || snapshot_sequence != null && policy_version < snapshot_policy_version_min",
    ),
    Row("snapshot_missing", "snapshot_sequence == null"),
    Row("snapshot_age", "snapshot_age_s >= snapshot_hard_age_s"),
    Row("currency_mismatch", "sale_currency != policy_currency"),
    REMOVED,
    Row("account_blocked", "account_blocked"),
)
LEASE: Final = (
    Row("lease_lapsed", "lease_left_s <= 0"),
    Row("lease_exceeded", "sale_amount_minor > lease_remaining_minor", ("lease_minor", "lease_reserved_minor", *_AGES)),
)
CAP: Final = (
    NO_CAP,
    Row(
        "cap_exceeded",
        "sale_amount_minor > pass_cap_minor || sale_amount_minor > cap_minor_max"
        " || cap_cumulative_minor + sale_amount_minor > cap_account_cumulative_minor",
    ),
)
"""The rows of the table in ``decision``, before and after its rules; an account has either a lease or a cap."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question of a decision. ``answered``: this one gave the answer. ``reason`` is a text key; ``values`` are what
    its condition ``when`` looked at, limits included."""

    id: str
    effect: str
    response_code: str
    reason: str
    when: str
    values: Mapping[str, Seen]
    said: Said
    answered: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, decided again. ``differs`` names the fields in which the stored one says something else: none, or
    somebody has changed a record."""

    decision: Decision
    differs: tuple[str, ...]
    checks: tuple[Check, ...]


def explain(entry: Entry, policy: Policy | None) -> Explanation | None:
    """Explain an authorization or a decline by ``policy``, which is the one of the lender and version that it names.

    None: no rule was asked. Raises SituationError.
    """
    again = replay(entry, policy)
    if again is None:
        return None
    return Explanation(again.decision, again.differs, tuple(checks(again.situation, policy, again.decision)))


def checks(situation: Situation, policy: Policy | None, decision: Decision) -> Iterator[Check]:
    """What ``decision`` asked of a situation, in its order, and what it did not come to ask."""
    values = _seen(situation, policy)
    refused = next((fired.rule_id for fired in decision.fired if fired.rule_id in RESPONSE_CODES), None)
    state, funding = _tables(situation)
    by_state = refused in {row.reason for row in state}
    yield from _rows(state, values, refused if by_state else None, is_asked=True)
    rules = policy.rules if policy else ()
    answering = None if refused or decision.approved else _answering(rules, decision)
    said: dict[str, Said] = {fired.rule_id: fired.outcome for fired in decision.fired}
    for rule in rules:
        answered = rule is answering
        yield _of_rule(rule, values, "not_asked" if by_state else said.get(rule.id, "quiet"), answered=answered)
    is_funded = not by_state and (answering is None or answering.effect == "step_up")
    yield from _rows(funding, values, refused, is_asked=is_funded)


def _tables(situation: Situation) -> tuple[Sequence[Row], Sequence[Row]]:
    """The rows before and after the rules that can speak of this account."""
    known, removed = situation.account_known, situation.account_removed
    state = [row for row in STATE if row is not REMOVED or known or removed]
    return state, LEASE if known else [row for row in CAP if row is not NO_CAP or not removed]


def _answering(rules: Sequence[Rule], decision: Decision) -> Rule | None:
    """The rule that gave the answer: the first that declines or refers, else the first that asks for more."""
    spoken = {fired.rule_id for fired in decision.fired}
    effects = (("decline", "refer"), ("step_up",))
    found = (rule for wanted in effects for rule in rules if rule.id in spoken and rule.effect in wanted)
    return next(found, None)


def _of_rule(rule: Rule, values: Mapping[str, Seen], said: Said, *, answered: bool) -> Check:
    seen = {name: values.get(name) for name in rule.compiled.variables}
    return Check(rule.id, rule.effect, rule.response_code, rule.reason, rule.when, seen, said, answered)


def _rows(rows: Sequence[Row], values: Mapping[str, Seen], refused: str | None, *, is_asked: bool) -> Iterator[Check]:
    """Rows are asked one after the other, until one speaks."""
    for row in rows:
        spoke = is_asked and row.reason == refused
        said: Said = "fired" if spoke else "quiet" if is_asked else "not_asked"
        seen = {name: values.get(name) for name in row.names}
        yield Check(row.reason, ALWAYS, RESPONSE_CODES[row.reason], row.reason, row.when, seen, said, spoke)
        is_asked = is_asked and not spoke


def _seen(situation: Situation, policy: Policy | None) -> dict[str, Seen]:
    """All that the decision looked at, by name."""
    if policy is None:
        return dict(situation.values())
    document: dict[str, Seen] = {
        "policy_version": policy.version,
        "policy_lender": policy.lender,
        "policy_expires_at": policy.expires_at,
        "policy_currency": policy.currency,
    }
    return document | rule_values(situation, policy)
