"""The policy: a lender's signed document of limits and rules, read strictly, its rules compiled once.

The one rule: a policy is complete and without fault, or it is no policy; `PolicyError` lists all faults at once.
Unknown fields are ignored (a newer backend may say more), unknown enumeration values are refused.

Payload (CBOR map inside COSE_Sign1, typ "counterfoil-policy", signed by a lender key of role policy):
  lender text <= 16 · version int >= 1 · issued_at, expires_at UTC seconds · currency ISO 4217 ·
  limits {name: int}, each name of `policy_vocabulary.Limits` · floor_limits {category of 4 digits: minor} ·
  rules [{id, when, effect, response_code (decline, step_up, refer only), reason (text key), scope stand_in (if absent)
  or always}] · hours {category: [from, to]} in minutes of the store's day · excluded_categories, and for purpose-bound
  credit purpose_excluded_categories [category] · travel_kmh [24 speeds, by the hour of the store's day] ·
  instalments: see `plans` (null: none)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from agent.core import cbor, cose, policy_tables, trust
from agent.core.cel_rules import Value
from agent.core.cose import Signer
from agent.core.money import check_currency
from agent.core.plans import Instalments, parse_instalments
from agent.core.policy_fields import PolicyError, as_map, match, read, whole
from agent.core.policy_rules import Rule, rule_payload, rules
from agent.core.policy_vocabulary import LIMITS, LOWER_AND_UPPER, Limits, limit_values

__all__ = ["TYP", "Policy", "PolicyError", "Rule", "parse_policy", "read_policy", "sign_policy", "verify_policy"]

TYP = "counterfoil-policy"
_LENDER = re.compile(r"[!-~]{1,16}", re.ASCII)


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
    hours: Mapping[str, tuple[int, int]]
    excluded_categories: frozenset[str]
    purpose_excluded_categories: frozenset[str]
    travel_kmh: tuple[int, ...]
    rules: tuple[Rule, ...]
    instalments: Instalments | None = None

    def floor_limit_minor(self, merchant_category: str) -> int:
        """The floor limit of a merchant category, else the general one."""
        return self.floor_limits.get(merchant_category, self.limits.floor_limit_minor)

    def hours_of(self, merchant_category: str) -> tuple[int, int]:
        """From and to, in minutes of the store's day: the category's, else the general ones."""
        return self.hours.get(merchant_category) or (self.limits.hours_from_minute, self.limits.hours_to_minute)

    def of_category(self, merchant_category: str) -> dict[str, Value]:
        """What depends on the merchant category, as rule variables."""
        from_minute, to_minute = self.hours_of(merchant_category)
        return {
            "floor_limit_minor": self.floor_limit_minor(merchant_category),
            "hours_from_minute": from_minute,
            "hours_to_minute": to_minute,
            "sale_category_excluded": merchant_category in self.excluded_categories,
            "sale_purpose_excluded": merchant_category in self.purpose_excluded_categories,
        }

    @property
    def limit_values(self) -> dict[str, Value]:
        """The general limits as rule variables."""
        return limit_values(self.limits)

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
            "hours": {category: list(hours) for category, hours in self.hours.items()},
            "excluded_categories": sorted(self.excluded_categories),
            "purpose_excluded_categories": sorted(self.purpose_excluded_categories),
            "travel_kmh": list(self.travel_kmh),
            "rules": [rule_payload(rule) for rule in self.rules],
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
    get = partial(read, payload, faults)
    policy = Policy(
        lender=get("lender", match(_LENDER, "1 to 16 printable characters")),
        version=get("version", whole(1, 2**53 - 1)),
        issued_at=get("issued_at", whole(1, 2**53 - 1)),
        expires_at=get("expires_at", whole(1, 2**53 - 1)),
        currency=get("currency", check_currency),
        limits=get("limits", _limits),
        floor_limits=get("floor_limits", policy_tables.floor_limits),
        hours=get("hours", policy_tables.hours),
        excluded_categories=get("excluded_categories", policy_tables.categories),
        purpose_excluded_categories=get("purpose_excluded_categories", policy_tables.categories),
        travel_kmh=get("travel_kmh", policy_tables.kmh_by_hour),
        rules=get("rules", rules),
        instalments=get("instalments", parse_instalments),
    )
    if not faults and policy.expires_at <= policy.issued_at:
        faults.append("expires_at: must be later than issued_at")
    if faults:
        raise PolicyError(*faults)
    return policy


def _limits(value: Any) -> Limits:
    fields = as_map(value)
    faults: list[str] = []
    values = {name: read(fields, faults, name, whole(limit.low, limit.high)) for name, limit in LIMITS.items()}
    if not faults:
        faults = [f"{low}: is above {high}" for low, high in LOWER_AND_UPPER if values[low] > values[high]]
    if faults:
        raise PolicyError(*faults)
    return Limits(**values)
