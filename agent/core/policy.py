"""The policy: a lender's signed document of limits and rules, read strictly, its rules compiled once.

The one rule: a policy is complete and without fault, or it is no policy; `PolicyError` lists all faults at once.
Unknown fields are ignored (a newer backend may say more), unknown enumeration values are refused.

Payload (CBOR map inside COSE_Sign1, typ "counterfoil-policy", signed by a lender key of role policy):
  lender text <= 16 · version int >= 1 · issued_at, expires_at UTC seconds · currency ISO 4217 ·
  limits {name: int}, each name of `policy_vocabulary.Limits` · floor_limits {category of 4 digits: minor} ·
  rules [{id, when, effect, response_code (decline, step_up, refer only), reason (text key)}] ·
  instalments: see `plans` (null: none)
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, get_args

from agent.core import cbor, cose, trust
from agent.core.cel_rules import CompiledRule, RuleError, Value, compile_rule
from agent.core.cose import Signer
from agent.core.money import MINOR_MAX, MoneyError, check_currency
from agent.core.plans import Instalments, PlanError, parse_instalments
from agent.core.policy_vocabulary import LIMITS, LOWER_AND_UPPER, RULE_VARIABLES, Limits, limit_values

TYP = "counterfoil-policy"
RULES_MAX = 100

Effect = Literal["decline", "refer", "step_up", "flag", "go_online"]

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
_LENDER = re.compile(r"[!-~]{1,16}", re.ASCII)
_CATEGORY = re.compile(r"[0-9]{4}", re.ASCII)


class PolicyError(ValueError):
    """A document that is no policy; `.faults` has one sentence for each thing wrong. The only exception here."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition, what follows when it holds, the answer to the point of sale ("" for none), the text key."""

    id: str
    when: str
    effect: Effect
    response_code: str
    reason: str
    compiled: CompiledRule = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """A checked policy. Times are UTC seconds; `floor_limits` are minor units by merchant category."""

    lender: str
    version: int
    issued_at: int
    expires_at: int
    currency: str
    limits: Limits
    floor_limits: Mapping[str, int]
    rules: tuple[Rule, ...]
    instalments: Instalments | None = None

    def floor_limit_minor(self, merchant_category: str) -> int:
        """The floor limit of a merchant category, else the general one."""
        return self.floor_limits.get(merchant_category, self.limits.floor_limit_minor)

    def variables(self, merchant_category: str) -> dict[str, Value]:
        """The limits as rule variables, with the floor limit of the category."""
        return limit_values(self.limits) | {"floor_limit_minor": self.floor_limit_minor(merchant_category)}

    def payload(self) -> dict[str, Any]:
        """The document that `parse_policy` reads back as an equal policy."""
        return {
            "lender": self.lender,
            "version": self.version,
            "issued_at": self.issued_at,
            "expires_at": self.expires_at,
            "currency": self.currency,
            "limits": dict(limit_values(self.limits)),
            "floor_limits": dict(self.floor_limits),
            "rules": [_rule_payload(rule) for rule in self.rules],
            "instalments": self.instalments.payload() if self.instalments else None,
        }


def sign_policy(policy: Policy, key: Signer) -> bytes:
    """The policy as COSE_Sign1 by a lender key of role policy."""
    return trust.sign_document(policy.payload(), key, TYP)


def verify_policy(data: bytes, keys: trust.KeyList, *, at: int, version_min: int = 1) -> Policy:
    """Check signature, role, lender and version, then the content. Raises PolicyError.

    `at` (UTC seconds) judges the signing key; `version_min` is the highest version seen: versions never go backwards.
    """
    try:
        policy = parse_policy(trust.verify_document(data, keys, role=trust.Role.POLICY, typ=TYP, at=at))
    except trust.TrustError as error:
        raise PolicyError(f"signature: {error}") from None
    if (policy.lender, policy.currency) != (keys.lender, keys.currency):
        signer = f"{keys.lender} in {keys.currency}"
        raise PolicyError(f"lender: {policy.lender} in {policy.currency}, but signed by {signer}")
    if policy.version < version_min:
        raise PolicyError(f"version: {policy.version} is older than {version_min}, which was seen before")
    return policy


def read_policy(data: bytes) -> Policy:
    """The content of a signed policy whose signature is not asked for: it was when it came into force, and its key may
    have expired since. Raises PolicyError."""
    try:
        payload = cbor.decode(cose.parse1(data).payload, deterministic=False)
    except (cbor.CborError, cose.CoseError) as error:
        raise PolicyError(f"document: {error}") from None
    if not isinstance(payload, dict):
        raise PolicyError("document: the content is not a policy")
    return parse_policy(payload)


def parse_policy(payload: Mapping[Any, Any]) -> Policy:
    """Read and check a payload; every rule is compiled. Raises PolicyError with all faults."""
    faults: list[str] = []
    read = partial(_read, payload, faults)
    policy = Policy(
        lender=read("lender", _match(_LENDER, "1 to 16 printable characters")),
        version=read("version", _whole(1, 2**53 - 1)),
        issued_at=read("issued_at", _whole(1, 2**53 - 1)),
        expires_at=read("expires_at", _whole(1, 2**53 - 1)),
        currency=read("currency", check_currency),
        limits=read("limits", _limits),
        floor_limits=read("floor_limits", _floor_limits),
        rules=read("rules", _rules),
        instalments=read("instalments", parse_instalments),
    )
    if not faults and policy.expires_at <= policy.issued_at:
        faults.append("expires_at: must be later than issued_at")
    if faults:
        raise PolicyError(*faults)
    return policy


Check = Callable[[Any], Any]  # gives the value as the policy keeps it; raises PolicyError or MoneyError


def _read(payload: Mapping[Any, Any], faults: list[str], name: str, check: Check) -> Any:
    """One field, checked; its faults are added to the list, prefixed with the field's name."""
    if name not in payload:
        faults.append(f"{name}: is missing")
        return None
    try:
        return check(payload[name])
    except (PolicyError, PlanError) as error:
        faults.extend(f"{name}: {fault}" for fault in error.faults)
    except MoneyError as error:
        faults.append(f"{name}: {error}")
    return None


def _match(pattern: re.Pattern[str], wanted: str) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise PolicyError(f"must be {wanted}, not {value!r:.60}")
        return value

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise PolicyError(f"must be a whole number from {low} to {high}, not {value!r:.60}")
        return value

    return check


def _one_of(values: Sequence[str]) -> Check:
    def check(value: Any) -> str:
        if value not in values:
            raise PolicyError(f"must be one of {', '.join(values)}, not {value!r:.60}")
        return str(value)

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise PolicyError("must be a text")
    return value


def _limits(value: Any) -> Limits:
    fields = _map(value)
    faults: list[str] = []
    values = {name: _read(fields, faults, name, _whole(limit.low, limit.high)) for name, limit in LIMITS.items()}
    if not faults:
        faults = [f"{low}: is above {high}" for low, high in LOWER_AND_UPPER if values[low] > values[high]]
    if faults:
        raise PolicyError(*faults)
    return Limits(**values)


def _floor_limits(value: Any) -> Mapping[str, int]:
    fields = _map(value)
    faults = [f"{name!r:.20} is no category of 4 digits" for name in fields if not _CATEGORY.fullmatch(str(name))]
    limits = {str(name): _read(fields, faults, name, _whole(0, MINOR_MAX)) for name in fields}
    if faults:
        raise PolicyError(*faults)
    return MappingProxyType(limits)


def _rules(value: Any) -> tuple[Rule, ...]:
    if not isinstance(value, list | tuple) or len(value) > RULES_MAX:
        raise PolicyError(f"must be a list of at most {RULES_MAX} rules")
    faults: list[str] = []
    rules = [_rule(position, fields, faults) for position, fields in enumerate(value, 1)]
    ids = [rule.id for rule in rules]
    faults.extend(f"{name}: this id is given twice" for name in dict.fromkeys(ids) if name and ids.count(name) > 1)
    if faults:
        raise PolicyError(*faults)
    return tuple(rules)


def _rule(position: int, value: Any, faults: list[str]) -> Rule:
    fields = value if isinstance(value, Mapping) else {}
    found: list[str] = []
    read = partial(_read, fields, found)
    effect = read("effect", _one_of(get_args(Effect)))
    rule = Rule(
        id=read("id", _match(_RULE_ID, "1 to 40 of a-z 0-9 -")),
        when=read("when", _text),
        effect=effect,
        response_code=_read({"response_code": "", **fields}, found, "response_code", _code_of(effect)),
        reason=read("reason", _match(_TEXT_KEY, "a text key of 1 to 40 of a-z 0-9 _ .")),
        compiled=read("when", partial(_compiled, fields.get("id"))),
    )
    faults.extend(f"{rule.id or position}: {fault}" for fault in dict.fromkeys(found))
    return rule


def _code_of(effect: Effect | None) -> Check:
    """The response codes that go with an effect; any at all while the effect itself is in doubt."""
    return _one_of(sorted(RESPONSE_CODES[effect])) if effect else _text


def _compiled(rule_id: Any, when: Any) -> CompiledRule:
    try:
        return compile_rule(str(rule_id), _text(when), RULE_VARIABLES)
    except RuleError as error:
        raise PolicyError(error.fault) from None


def _rule_payload(rule: Rule) -> dict[str, str]:
    fields = {"id": rule.id, "when": rule.when, "effect": rule.effect, "reason": rule.reason}
    return fields | ({"response_code": rule.response_code} if rule.response_code else {})


def _map(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise PolicyError("must be a map")
    return value
