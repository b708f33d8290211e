"""The rules of a policy: a condition over documented names, what follows when it holds, and the answer to the till.

The one rule: a rule that is read is checked and compiled; what is wrong with it is told by its id and its field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, get_args

from agent.core.cel_rules import CompiledRule, RuleError, compile_rule
from agent.core.policy_fields import Check, PolicyError, as_list, match, one_of, read, text
from agent.core.policy_vocabulary import ONLINE_VARIABLES, RULE_VARIABLES

RULES_MAX: Final = 100

Effect = Literal["decline", "refer", "step_up", "flag", "go_online"]
Scope = Literal["stand_in", "always"]
"""``stand_in``: for the lane alone. ``always``: the lender's backend asks the rule too, over its own books."""

# ISO 8583 field 39 values that each effect may answer with. 1A is Visa's "additional customer authentication
# required". An effect that answers nothing has no code.
RESPONSE_CODES: dict[Effect, frozenset[str]] = {
    "decline": frozenset({"05", "12", "13", "14", "41", "43", "51", "54", "57", "59", "61", "65", "91", "96"}),
    "refer": frozenset({"05", "59", "91"}),
    "step_up": frozenset({"1A"}),
    "flag": frozenset({""}),
    "go_online": frozenset({""}),
}

_RULE_ID = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
_TEXT_KEY = re.compile(r"[a-z][a-z0-9_.]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition, what follows when it holds, the answer to the point of sale ("" for none), the text key."""

    id: str
    when: str
    effect: Effect
    response_code: str
    reason: str
    scope: Scope
    compiled: CompiledRule = field(repr=False, compare=False)


def rules(value: Any) -> tuple[Rule, ...]:
    """The rules in their order. Raises PolicyError with all faults of all rules."""
    faults: list[str] = []
    found = [_rule(position, fields, faults) for position, fields in enumerate(as_list(value, RULES_MAX), 1)]
    ids = [rule.id for rule in found]
    faults.extend(f"{name}: this id is given twice" for name in dict.fromkeys(ids) if name and ids.count(name) > 1)
    if faults:
        raise PolicyError(*faults)
    return tuple(found)


def _rule(position: int, value: Any, faults: list[str]) -> Rule:
    fields = value if isinstance(value, Mapping) else {}
    found: list[str] = []
    said = {"response_code": "", "scope": "stand_in", **fields}
    get = partial(read, said, found)
    effect, scope = get("effect", one_of(get_args(Effect))), get("scope", one_of(get_args(Scope)))
    rule = Rule(
        id=get("id", match(_RULE_ID, "1 to 40 of a-z 0-9 -")),
        when=get("when", text),
        effect=effect,
        response_code=get("response_code", _code_of(effect)),
        reason=get("reason", match(_TEXT_KEY, "a text key of 1 to 40 of a-z 0-9 _ .")),
        scope=scope,
        compiled=get("when", partial(_compiled, fields.get("id"), scope)),
    )
    faults.extend(f"{rule.id or position}: {fault}" for fault in dict.fromkeys(found))
    return rule


def _code_of(effect: Effect | None) -> Check:
    """The response codes that go with an effect; any at all while the effect itself is in doubt."""
    return one_of(sorted(RESPONSE_CODES[effect])) if effect else text


def _compiled(rule_id: Any, scope: Scope | None, when: Any) -> CompiledRule:
    names = ONLINE_VARIABLES if scope == "always" else RULE_VARIABLES
    try:
        return compile_rule(str(rule_id), text(when), names)
    except RuleError as error:
        raise PolicyError(error.fault) from None


def rule_payload(rule: Rule) -> dict[str, str]:
    """The rule as a document says it."""
    fields = {"id": rule.id, "when": rule.when, "effect": rule.effect, "reason": rule.reason}
    fields |= {"scope": rule.scope} if rule.scope != "stand_in" else {}
    return fields | ({"response_code": rule.response_code} if rule.response_code else {})
