"""The all-in-cost statement of an offer: what a customer must be shown before an instalment is taken.

The one rule: one document, by which it is shown, hashed, journaled and checked; whatever a person reads of a plan, in
either language, is read from it.

Content after China's 金规〔2026〕2号 (all-in cost of personal loans, in force since 2026-08-01): principal; each cost
item with its method, amount, payee and yearly rate; the yearly rate of all of them; what a default costs; that nothing
else is charged. The instalment fee is the only item that this product knows, and the lender its payee.

A deterministic CBOR map (RFC 8949 section 4.2.1) with the fields of ``Statement``; its digest is SHA-256 of that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from agent.core import cbor
from agent.core.coupons import Coupon
from agent.core.instalments import Offer, Payment, annual_rate
from agent.core.money import MINOR_MAX, MoneyError, check_currency
from agent.core.plans import LANGUAGES, PAYMENTS_MAX, FeeMethod, Instalments, Words

VERSION: Final = 1
BYTES_MAX: Final = 8 * 1024
DIGEST_BYTES: Final = 32


class StatementError(ValueError):
    """Bytes that are no statement, or one that contradicts itself; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What was offered. Rates in percent a year with two decimals, as texts; ``fee_rate`` as in the plan.

    ``merchant_minor`` is what the merchant bears of the fee in any case;
    ``coupon_id`` with ``waived_minor`` and ``borne_by``: what a coupon took off the customer's cost, and who bears it.
    """

    lender: Words
    product: Words
    plan_id: str
    name: Words
    currency: str
    principal_minor: int
    sold_on: date
    payments: tuple[Payment, ...]
    merchant_minor: int
    first_months: int
    fee_method: FeeMethod
    fee_rate: str
    nominal: str
    effective: str
    coupon_id: bytes | None
    waived_minor: int
    borne_by: str | None
    default_terms: Words
    reminder: Words
    complaints: Words

    @property
    def fee_minor(self) -> int:
        """All that the customer pays beyond the principal."""
        return sum(payment.fee_minor for payment in self.payments)

    @property
    def merchant_fee_minor(self) -> int:
        """All that the merchant bears."""
        return self.merchant_minor + (self.waived_minor if self.borne_by == "merchant" else 0)

    @property
    def total_minor(self) -> int:
        return self.principal_minor + self.fee_minor

    def encode(self) -> bytes:
        fields: dict[cbor.Key, cbor.Value] = {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}
        return cbor.encode(fields | {"version": VERSION})

    @property
    def digest(self) -> bytes:
        """By which a choice names what was shown."""
        return digest(self.encode())


@dataclass(frozen=True, slots=True)
class Choice:
    """The plan that a customer chose, as every entry of the attempt names it; ``statement`` is the digest of what was
    shown, ``merchant_fee_minor`` what the merchant bears of the fee."""

    plan_id: str
    statement: bytes
    coupon_id: bytes | None
    fee_minor: int
    merchant_fee_minor: int

    @classmethod
    def of(cls, said: Statement) -> Choice:
        return cls(said.plan_id, said.digest, said.coupon_id, said.fee_minor, said.merchant_fee_minor)

    def to_body(self) -> dict[str, cbor.Value]:
        """Field ``plan`` of a body: {id, statement, coupon, fee_minor, merchant_fee_minor}."""
        return dict(zip(_CHOICE, (getattr(self, name) for name in self.__dataclass_fields__), strict=True))

    @classmethod
    def of_body(cls, value: Any) -> Choice:
        """Raises StatementError."""
        given = [value.get(name) for name in _CHOICE] if isinstance(value, Mapping) else [None] * len(_CHOICE)
        plan_id, statement, coupon_id, *fees = given
        is_digest = isinstance(statement, bytes) and len(statement) == DIGEST_BYTES
        if not isinstance(plan_id, str) or not is_digest or not isinstance(coupon_id, bytes | None):
            raise StatementError("An entry names no plan as plans are named.")
        if not all(type(fee) is int and 0 <= fee <= MINOR_MAX for fee in fees):
            raise StatementError("An entry names a fee that is no amount.")
        return cls(*given)


_CHOICE: Final = ("id", "statement", "coupon", "fee_minor", "merchant_fee_minor")


def part_left(minor: int, captured_minor: int, refunded_minor: int) -> int:
    """What is left of a fee (or any part of a plan) after refunds: it goes back in the share in which the principal
    does, rounded so that the last part of the principal brings the last of it back."""
    return minor - minor * refunded_minor // captured_minor if captured_minor else 0


@dataclass(frozen=True, slots=True)
class PlanLeft:
    """What a customer still pays of a plan after refunds, minor units, whatever of it has been paid already."""

    principal_minor: int
    fee_minor: int

    @property
    def total_minor(self) -> int:
        return self.principal_minor + self.fee_minor


def plan_left(said: Statement, captured_minor: int, refunded_minor: int) -> PlanLeft:
    """What refunds have left of the plan that was disclosed."""
    return PlanLeft(captured_minor - refunded_minor, part_left(said.fee_minor, captured_minor, refunded_minor))


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def statement(terms: Instalments, offer: Offer, currency: str, sold_on: date, coupon: Coupon | None) -> Statement:
    """The statement of an offer made by a policy's plans, with the coupon that made it interest-free, if any."""
    plan, texts = offer.plan, terms.texts
    return Statement(
        lender=texts.lender,
        product=texts.product,
        plan_id=plan.plan_id,
        name=plan.name,
        currency=currency,
        principal_minor=offer.principal_minor,
        sold_on=sold_on,
        payments=offer.payments,
        merchant_minor=offer.merchant_fee_minor,
        first_months=plan.first_payment.months,
        fee_method=plan.fee_method,
        fee_rate=plan.fee_rate,
        nominal=str(offer.rate.nominal),
        effective=str(offer.rate.effective),
        coupon_id=coupon.coupon_id if coupon else None,
        waived_minor=offer.waived_minor,
        borne_by=coupon.borne_by if coupon else None,
        default_terms=plan.default_terms,
        reminder=texts.reminder,
        complaints=texts.complaints,
    )


def read_statement(data: bytes) -> Statement:
    """The statement of these bytes, which adds up: principal, fee and rates follow from its payments.

    Raises StatementError.
    """
    if len(data) > BYTES_MAX:
        raise StatementError(f"A statement has at most {BYTES_MAX} bytes.")
    try:
        read = _statement(cbor.decode(data))
    except (cbor.CborError, MoneyError, KeyError, TypeError, ValueError) as error:
        raise StatementError(f"These bytes are no statement: {error}.") from None
    _check(read)
    return read


def _statement(fields: Any) -> Statement:
    if not isinstance(fields, dict) or fields.pop("version", None) != VERSION:
        raise TypeError("not a map of this version")
    given = dict(fields)
    for name in ("lender", "product", "name", "default_terms", "reminder", "complaints"):
        given[name] = _words(given[name])
    for name in ("plan_id", "fee_rate", "nominal", "effective"):
        given[name] = _of(str, given[name])
    for name in ("principal_minor", "merchant_minor", "waived_minor", "first_months"):
        given[name] = _whole(given[name])
    given["currency"] = check_currency(given["currency"])
    given["sold_on"] = date.fromisoformat(given["sold_on"])
    given["fee_method"] = FeeMethod(given["fee_method"])
    given["payments"] = tuple(
        Payment(date.fromisoformat(due), _whole(principal), _whole(fee)) for due, principal, fee in given["payments"]
    )
    coupon_id, borne_by = given["coupon_id"], given["borne_by"]
    if (coupon_id is None) is not (borne_by is None):
        raise TypeError("a coupon that nobody bears")
    given["coupon_id"] = None if coupon_id is None else _of(bytes, coupon_id)
    given["borne_by"] = None if borne_by is None else _of(str, borne_by)
    return Statement(**given)


def _check(read: Statement) -> None:
    if not 0 < len(read.payments) <= PAYMENTS_MAX or not 1 <= read.first_months <= 12:
        raise StatementError("The statement has no payments, or more than any plan.")
    if sum(payment.principal_minor for payment in read.payments) != read.principal_minor or not read.principal_minor:
        raise StatementError("The payments do not add up to the principal.")
    amounts = [payment.minor for payment in read.payments]
    try:
        rate = annual_rate(read.principal_minor, amounts, first_months=read.first_months)
    except ArithmeticError:
        raise StatementError("The payments cost more a year than can be told in figures.") from None
    if (str(rate.nominal), str(rate.effective)) != (read.nominal, read.effective):
        raise StatementError(f"The payments cost {rate.nominal} % a year, not {read.nominal} %.")


def _of(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.40} is no {kind.__name__}")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MINOR_MAX:
        raise TypeError(f"{value!r:.40} is no amount")
    return value


def _words(value: Any) -> Words:
    return {language: _of(str, _of(dict, value)[language]) for language in LANGUAGES}


def _plain(value: Any) -> cbor.Value:
    """A field as CBOR takes it."""
    match value:
        case FeeMethod():
            return str(value)
        case date():
            return value.isoformat()
        case tuple():
            return [[payment.due.isoformat(), payment.principal_minor, payment.fee_minor] for payment in value]
        case Mapping():
            return dict(value)
    plain: cbor.Value = value
    return plain
