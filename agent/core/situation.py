"""The situation of one stand-in decision: everything that it looks at besides the policy, as one flat record of values.

The one rule: what is not in this record has no part in the decision, so a stored situation and the policy of its time
give the stored decision again. Every figure states what it already includes; nothing personal is among them.

A journal entry keeps the record as a list: the number of this vocabulary, then the values in the order of ``KEPT``.
What the entry says anyway (``TOLD_BY_ENTRY``) is not kept twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, Final, get_type_hints

from agent.core.cel_rules import Value, Variable
from agent.core.journal import Entry
from agent.core.money import MINOR_MAX, Money

VOCABULARY: Final = 1
"""Grows with every change of ``Situation``: an entry of another vocabulary is not replayed, never misread."""

_COUNT_MAX: Final = 2**31
_TIME_END: Final = 2**53


@dataclass(frozen=True, slots=True)
class Sale:
    """What is to be put on credit; `merchant_category` has four digits (ISO 18245)."""

    sale_id: str
    amount: Money
    merchant_category: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Stand-in sales in a policy window, without this one."""

    count: int = 0
    amount_minor: int = 0


class SituationError(ValueError):
    """A list that is no situation of this vocabulary. The only exception of this module."""


def _flag(meaning: str) -> Variable:
    return Variable(False, True, meaning)


def _minor(meaning: str) -> Variable:
    return Variable(0, MINOR_MAX, meaning)


def _count(meaning: str) -> Variable:
    return Variable(0, _COUNT_MAX, meaning)


def _seconds(meaning: str, high: int = _TIME_END) -> Variable:
    return Variable(0, high, meaning)


@dataclass(frozen=True, slots=True)
class Situation:
    """Whole numbers, yes or no, short texts. Amounts in minor units; the totals are without this sale."""

    lender: Annotated[str, Variable("", "~" * 16, "whose pass it is")]
    sale_amount_minor: Annotated[int, Variable(1, MINOR_MAX, "amount of this sale")]
    sale_currency: Annotated[str, Variable("AAA", "ZZZ", "its currency (ISO 4217)")]
    sale_merchant_category: Annotated[str, Variable("", "9999", "merchant category code, four digits (ISO 18245)")]

    clock_trusted: Annotated[bool, _flag("the lane knows the time")]
    clock_source: Annotated[str, Variable("holdover", "signed", "how the lane knows the time: signed or holdover")]
    clock_minute_of_day: Annotated[int, Variable(0, 1_439, "the store's local time")]
    clock_at_s: Annotated[int, _seconds("UTC seconds that judge validity and age; never before the lease horizon")]

    pass_tier: Annotated[int, Variable(0, 7, "customer tier that the pass states")]
    pass_user_verified: Annotated[bool, _flag("the phone verified its user for this code")]
    pass_cap_minor: Annotated[int, _minor("offline cap that the pass states")]

    probe_draw: Annotated[int, Variable(0, 99, "the sale's random number (core.probe)")]

    snapshot_sequence: Annotated[int | None, _count("the newest layer; none: there is no snapshot")]
    snapshot_policy_version_min: Annotated[int, _seconds("the oldest policy that may judge the records")]
    snapshot_age_s: Annotated[int, _seconds("age of the layer that supplied the record")]
    snapshot_soft_age_s: Annotated[int, _seconds("age from which allowances shrink")]
    snapshot_hard_age_s: Annotated[int, _seconds("age at which allowances end")]

    account_known: Annotated[bool, _flag("the snapshot has a record of the account")]
    account_removed: Annotated[bool, _flag("the record says: not served at this lane any longer")]
    account_blocked: Annotated[bool, _flag("the lender has blocked the account")]
    account_tier: Annotated[int, Variable(0, 7, "customer tier: the record's, or the pass's if there is no record")]
    account_step_up_always: Annotated[bool, _flag("the record asks for user verification at any amount")]

    account_purpose_bound: Annotated[bool, _flag("the credit is for a purpose: record or pass says so")]

    travel_known: Annotated[bool, _flag("it is known where and when the account was last seen elsewhere")]
    travel_km: Annotated[int, Variable(0, 6_000, "distance from there, as the crow flies")]
    travel_elapsed_s: Annotated[int, _seconds("time since then")]

    lease_minor: Annotated[int, _minor("the account's lease, net of all spends and of the debits of other sales")]
    lease_reserved_minor: Annotated[int, _minor("what this sale's own online intent has debited of it; 0: no intent")]
    lease_left_s: Annotated[int, Variable(-_TIME_END, _TIME_END, "time until the lease lapses; not above 0: it has")]

    account_count: Annotated[int, _count("stand-in sales of the account in account_window_s, without this one")]
    account_cumulative_minor: Annotated[int, _minor("their amount")]
    lane_count: Annotated[int, _count("stand-in sales of the lane in lane_window_s, without this one")]
    lane_cumulative_minor: Annotated[int, _minor("their amount")]
    cap_count: Annotated[int, _count("sales of the account under the pass's own cap in cap_window_s")]
    cap_cumulative_minor: Annotated[int, _minor("their amount")]

    velocity_count: Annotated[int, _count("sales of the account in velocity_window_s, decided online or alone")]
    velocity_minor: Annotated[int, _minor("their amount")]
    account_round_count: Annotated[int, _count("sales of the account in cash_out_window_s of a round amount")]
    account_near_limit_count: Annotated[int, _count("sales of the account in that window just under the floor limit")]
    lane_same_amount_count: Annotated[int, _count("sales of the lane in that window of this very amount")]
    account_refund_count: Annotated[int, _count("refunds of the account in refund_window_s")]
    account_refund_minor: Annotated[int, _minor("their amount")]

    def kept(self) -> list[Value]:
        """As a journal entry keeps it."""
        return [VOCABULARY, *_kept_values(self)]

    def values(self) -> dict[str, Value]:
        """By name, as rules see it."""
        return dict(zip(FIELDS, _all_values(self), strict=True))


FIELDS: Final[Mapping[str, Variable]] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Situation, include_extras=True).items()
}
JUDGED_BEFORE_RULES: Final = frozenset(
    {"lender", "sale_currency", "clock_trusted", "snapshot_sequence", "snapshot_policy_version_min", "account_removed"}
    | {"account_blocked", "lease_minor", "lease_reserved_minor", "lease_left_s"}
)
"""No rule may name these: what they say is a promise that no policy switches off."""

OF_THE_LANE_ALONE: Final = frozenset(
    {"clock_source", "probe_draw", "probe_percent", "lease_remaining_minor", "account_known", "lane_same_amount_count"}
    | {name for name in FIELDS if name.startswith("snapshot_") or name.endswith("_cumulative_minor")}
    | {"account_count", "lane_count", "cap_count"}
)
"""What only a lane that stands in has: its snapshot, its lease, its own totals."""

TOLD_BY_ENTRY: Final[Mapping[str, Callable[[Entry], Any]]] = {
    "lender": lambda entry: entry.lender,
    "sale_amount_minor": lambda entry: entry.body["amount_minor"],
    "sale_currency": lambda entry: entry.body["currency"],
    "sale_merchant_category": lambda entry: entry.body["category"],
    "clock_source": lambda entry: entry.body["clock_source"],
    "snapshot_sequence": lambda entry: entry.body["snapshot_sequence"],
}
KEPT: Final = tuple(name for name in FIELDS if name not in TOLD_BY_ENTRY)
_kept_values: Final = attrgetter(*KEPT)
_all_values: Final = attrgetter(*FIELDS)


def situation_of(entry: Entry) -> Situation | None:
    """The situation that an authorization or a decline was decided in; None: no rule was asked.

    Raises SituationError for what another vocabulary, or somebody else, has written.
    """
    match entry.body.get("situation"):
        case None:
            return None
        case [int(version), *values] if version == VOCABULARY and len(values) == len(KEPT):
            kept = dict(zip(KEPT, values, strict=True))
        case [int(version), *_] if version != VOCABULARY:
            raise SituationError(f"the situation is of vocabulary {version}, this is vocabulary {VOCABULARY}")
        case _:
            raise SituationError(f"a situation is a list of {1 + len(KEPT)} values")
    try:
        told = {name: tell(entry) for name, tell in TOLD_BY_ENTRY.items()}
    except KeyError as missing:
        raise SituationError(f"the entry does not say {missing}") from None
    for name, value in (told | kept).items():
        if type(value) is not type(FIELDS[name].low) and not (name == "snapshot_sequence" and value is None):
            raise SituationError(f"{name}: is no {FIELDS[name].kind}: {value!r:.40}")
    return Situation(**told, **kept)
