"""Instalment plans as the signed policy sets them, with the texts that the law wants shown beside them.

The one rule: a plan is whole and without fault, in every language, or the policy that holds it is none; `PlanError`
lists all faults at once.

Field `instalments` of the policy (null: no plans):
  plans [{id a-z 0-9 -, name {language: text}, payments 1-60, fee_rate decimal text, fee_method, bearer,
  merchant_percent (split only), amount_min_minor, amount_max_minor, categories [4 digits] (none: all),
  first_payment {months 1-12, day 1-28 or null}, default_terms {language: text}}] ·
  texts {lender, product, reminder, complaints: {language: text}}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from agent.core.money import MINOR_MAX

LANGUAGES: Final = ("zh-CN", "en")
"""Every text of a plan is there in each of these: the statement is one document, read in either."""

PAYMENTS_MAX: Final = 60
"""Five years of monthly payments: more than any consumer plan, few enough to compute on the way of a sale."""

PLANS_MAX: Final = 24
CATEGORIES_MAX: Final = 100
FEE_RATE_MAX: Final = Decimal(1)
NAME_CHARS_MAX: Final = 40
TEXT_CHARS_MAX: Final = 240

PLAN_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,19}", re.ASCII)
_RATE: Final = re.compile(r"[0-9]{1,2}(\.[0-9]{1,8})?", re.ASCII)
_CATEGORY: Final = re.compile(r"[0-9]{4}", re.ASCII)

Words = Mapping[str, str]
"""One text by language."""


class PlanError(ValueError):
    """Plans, or an amount for one, that cannot be; `.faults` has one sentence for each thing wrong."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Bearer(StrEnum):
    """Who bears the fee of a plan."""

    CUSTOMER = "customer"
    MERCHANT = "merchant"
    SPLIT = "split"


class FeeMethod(StrEnum):
    """How a fee is charged: once on the amount, spread evenly or with the first payment; or each month on what is
    still owed."""

    SPREAD = "spread"
    FIRST = "first"
    BALANCE = "balance"


@dataclass(frozen=True, slots=True)
class FirstPayment:
    """The first payment is due ``months`` after the sale, on the sale's day or on ``day`` of that month; the others
    follow month by month. No day above 28: every month has it."""

    months: int = 1
    day: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan. ``fee_rate`` is a decimal text: "0.045" is 4.5 % of the amount (method ``balance``: of what is still
    owed, each month). ``merchant_percent`` of the fee is the merchant's if the bearer is ``split``. Raises PlanError.
    """

    plan_id: str
    payments: int
    fee_rate: str
    bearer: Bearer = Bearer.CUSTOMER
    merchant_percent: int = 0
    fee_method: FeeMethod = FeeMethod.SPREAD
    amount_min_minor: int = 1
    amount_max_minor: int = MINOR_MAX
    categories: tuple[str, ...] = ()
    first_payment: FirstPayment = field(default_factory=FirstPayment)
    name: Words = field(default_factory=dict)
    default_terms: Words = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = [fault for holds, fault in self._checks() if not holds]
        if faults:
            raise PlanError(*faults)

    def _checks(self) -> tuple[tuple[bool, str], ...]:
        of, first = f"Plan {self.plan_id}", self.first_payment
        is_rate = _RATE.fullmatch(self.fee_rate) is not None
        return (
            (1 <= self.payments <= PAYMENTS_MAX, f"{of} has {self.payments} payments: 1 to {PAYMENTS_MAX} can be."),
            (is_rate, f"{of} has the fee rate {self.fee_rate!r:.40}, which is no decimal number of 0 to 1."),
            (not is_rate or self.rate <= FEE_RATE_MAX, f"{of} has the fee rate {self.fee_rate}: 0 to 1 can be."),
            (0 <= self.merchant_percent <= 100, f"{of} gives {self.merchant_percent} percent of its fee away."),
            (
                self.bearer is Bearer.SPLIT or not self.merchant_percent,
                f"{of} splits its fee, and says that the {self.bearer} bears it.",
            ),
            (
                0 < self.amount_min_minor <= self.amount_max_minor <= MINOR_MAX,
                f"{of} is for {self.amount_min_minor} to {self.amount_max_minor} minor units: no amount fits.",
            ),
            (1 <= first.months <= 12, f"{of} begins {first.months} months after the sale: 1 to 12 can be."),
            (first.day is None or 1 <= first.day <= 28, f"{of} is due on day {first.day}: 1 to 28 can be."),
        )

    @property
    def rate(self) -> Decimal:
        return Decimal(self.fee_rate)

    def is_for(self, amount_minor: int, merchant_category: str) -> bool:
        """Whether the plan may be offered for a sale."""
        in_range = max(self.amount_min_minor, self.payments) <= amount_minor <= self.amount_max_minor
        return in_range and (not self.categories or merchant_category in self.categories)

    def payload(self) -> dict[str, Any]:
        fields = {name: _plain(getattr(self, name)) for name in _FIELDS}
        return {"id": self.plan_id, "first_payment": asdict(self.first_payment)} | fields


_FIELDS: Final = (
    "name", "payments", "fee_rate", "fee_method", "bearer", "merchant_percent", "amount_min_minor",
    "amount_max_minor", "categories", "default_terms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Texts:
    """What every statement of a lender says: who lends, under which name, a reminder not to borrow too much, and where
    to complain."""

    lender: Words
    product: Words
    reminder: Words
    complaints: Words


@dataclass(frozen=True, slots=True)
class Instalments:
    """The plans of a policy in the order in which they are offered, and the texts of all of them."""

    plans: tuple[Plan, ...]
    texts: Texts

    def find(self, plan_id: str) -> Plan | None:
        return next((plan for plan in self.plans if plan.plan_id == plan_id), None)

    def payload(self) -> dict[str, Any]:
        """What `parse_instalments` reads back as equal."""
        texts = {name: dict(getattr(self.texts, name)) for name in Texts.__dataclass_fields__}
        return {"plans": [plan.payload() for plan in self.plans], "texts": texts}


def parse_instalments(value: Any) -> Instalments | None:
    """Read and check the policy's field; None for a lender without instalments. Raises PlanError with all faults."""
    if value is None:
        return None
    faults: list[str] = []
    given = value if isinstance(value, Mapping) else {}
    plans = _read(faults, "plans", _plans, given.get("plans"))
    texts = _read(faults, "texts", _texts, given.get("texts"))
    if faults:
        raise PlanError(*faults)
    return Instalments(plans, texts)


def _read(faults: list[str], name: str, check: Callable[[Any], Any], value: Any) -> Any:
    try:
        return check(value)
    except PlanError as error:
        faults.extend(f"{name}: {fault}" for fault in error.faults)
    return None


def _plans(value: Any) -> tuple[Plan, ...]:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= PLANS_MAX:
        raise PlanError(f"must be a list of 1 to {PLANS_MAX} plans")
    faults: list[str] = []
    ids = [fields.get("id") if isinstance(fields, Mapping) else None for fields in value]
    plans = [
        _read(faults, str(name or place), _plan, fields)
        for place, (name, fields) in enumerate(zip(ids, value, strict=True), 1)
    ]
    faults += [f"{name}: this id is given twice" for name in dict.fromkeys(map(str, ids)) if ids.count(name) > 1]
    if faults:
        raise PlanError(*faults)
    return tuple(plans)


def _plan(value: Any) -> Plan:
    fields = {"merchant_percent": 0, "categories": (), **value} if isinstance(value, Mapping) else {}
    faults: list[str] = []
    given = {name: _read(faults, name, check, fields.get(name)) for name, check in _CHECKS.items()}
    if faults:
        raise PlanError(*faults)
    return Plan(plan_id=given.pop("id"), **given)


def _texts(value: Any) -> Texts:
    fields = value if isinstance(value, Mapping) else {}
    faults: list[str] = []
    words = {name: _read(faults, name, _words(TEXT_CHARS_MAX), fields.get(name)) for name in Texts.__dataclass_fields__}
    if faults:
        raise PlanError(*faults)
    return Texts(**words)


def _words(chars_max: int) -> Callable[[Any], Words]:
    """A text of 1 to ``chars_max`` printable characters in each language, and in no other."""

    def check(value: Any) -> Words:
        given = value if isinstance(value, Mapping) else {}
        faults = [
            f"{language}: must be a text of 1 to {chars_max} characters"
            for language in LANGUAGES
            if not isinstance(text := given.get(language), str) or not 0 < len(text) <= chars_max or _has_control(text)
        ]
        if faults:
            raise PlanError(*faults)
        return MappingProxyType({language: given[language] for language in LANGUAGES})

    return check


def _has_control(text: str) -> bool:
    return not text.isprintable()


def _match(pattern: re.Pattern[str], wanted: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise PlanError(f"must be {wanted}, not {value!r:.60}")
        return value

    return check


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise PlanError(f"must be a whole number, not {value!r:.60}")
    return value


def _one_of(values: type[StrEnum]) -> Callable[[Any], StrEnum]:
    def check(value: Any) -> StrEnum:
        if not isinstance(value, str) or value not in list(values):
            raise PlanError(f"must be one of {', '.join(values)}, not {value!r:.60}")
        return values(value)

    return check


def _categories(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > CATEGORIES_MAX:
        raise PlanError(f"must be a list of at most {CATEGORIES_MAX} categories")
    check = _match(_CATEGORY, "a category of 4 digits")
    return tuple(check(category) for category in value)


def _first_payment(value: Any) -> FirstPayment:
    fields = value if isinstance(value, Mapping) else {}
    day = fields.get("day")
    return FirstPayment(_whole(fields.get("months")), None if day is None else _whole(day))


_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "id": _match(PLAN_ID, "1 to 20 of a-z 0-9 -"),
    "name": _words(NAME_CHARS_MAX),
    "payments": _whole,
    "fee_rate": _match(_RATE, "a decimal number as a text, as 0.045"),
    "fee_method": _one_of(FeeMethod),
    "bearer": _one_of(Bearer),
    "merchant_percent": _whole,
    "amount_min_minor": _whole,
    "amount_max_minor": _whole,
    "categories": _categories,
    "first_payment": _first_payment,
    "default_terms": _words(TEXT_CHARS_MAX),
}


def _plain(value: Any) -> Any:
    """A field as CBOR takes it: no tuple, no mapping proxy, no enumeration."""
    if isinstance(value, Mapping):
        return dict(value)
    return str(value) if isinstance(value, StrEnum) else list(value) if isinstance(value, tuple) else value
