"""The merchant-presented code: what a customer's phone scans at the counter to pay this very sale.

The one rule: the code names the sale and its exact amount, so nobody types either; and whoever reads it can tell from
its checksum that not a character was lost.

EMVCo QR Code Specification for Payment Systems, merchant-presented mode, v1.1: data objects of a two-digit id, a
two-digit length in characters and a value (section 3); the last is the CRC (id 63, section 4.7.3): CRC-16/CCITT-FALSE
(ISO/IEC 13239, polynomial 1021, start FFFF) of the UTF-8 of all before its value, in four capital hexadecimal digits.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.core.money import Money, MoneyError, format_plain

VALUE_CHARS_MAX: Final = 99
CODE_CHARS_MAX: Final = 512
NUMERIC_CURRENCIES: Final[Mapping[str, str]] = {
    "CNY": "156", "EUR": "978", "GBP": "826", "HKD": "344", "JPY": "392", "KRW": "410", "MOP": "446", "SGD": "702",
    "TWD": "901", "USD": "840",
}  # fmt: skip
"""ISO 4217 numeric codes of the currencies that a lane may sell in by such a code."""
GUID: Final = "credit.counterfoil"
"""Globally unique identifier of the account template (id 26, sub-id 00): a reverse domain name."""
NAME_CHARS_MAX: Final = 25
CITY_CHARS_MAX: Final = 15
LABEL_CHARS_MAX: Final = 25
"""Each label of the additional data (id 62, sub-ids 01 to 08)."""

_ACCOUNT, _LABELS = "26", "62"
_DYNAMIC: Final = "12"
"""Point of initiation: a new code for each sale."""
_CRC_ID_AND_LENGTH: Final = "6304"


class MerchantCodeError(ValueError):
    """What a merchant's code cannot say; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is paid. ``merchant`` is the merchant's id at the lender; name and city in ASCII (ids 59 and 60), and in
    ``language`` (id 64, ISO 639-1) as people read them."""

    lender: str
    merchant: str
    category: str
    country: str
    name: str
    city: str
    language: str = ""
    local_name: str = ""


@dataclass(frozen=True, slots=True)
class Presented:
    """What the lender's app reads in a code: whom to pay, for which attempt, and how much."""

    lender: str
    merchant: str
    reference: str
    amount: Money


def reference_of(lane: str, sale_id: str, attempt: int) -> str:
    """The reference label of an attempt (id 62, sub-id 05): a sale id is longer than EMVCo lets a label be."""
    digest = hashlib.sha256(f"{lane}/{sale_id}/{attempt}".encode()).digest()
    return base64.b32encode(digest).decode()[:LABEL_CHARS_MAX]


def merchant_code(payee: Payee, *, store: str, lane: str, reference: str, amount: Money) -> str:
    """The text of the QR code for one attempt. Raises MerchantCodeError for what such a code cannot say; store and lane
    are for people and may be cut."""
    currency = NUMERIC_CURRENCIES.get(amount.currency)
    if currency is None:
        raise MerchantCodeError(f"A merchant's code cannot ask for {amount.currency}.")
    account = _objects({"00": GUID, "01": payee.lender, "02": payee.merchant})
    local = {"00": payee.language.upper(), "01": payee.local_name[:NAME_CHARS_MAX]} if payee.language else {}
    text = _objects(
        {
            "00": "01",
            "01": _DYNAMIC,
            _ACCOUNT: account,
            "52": payee.category,
            "53": currency,
            "54": format_plain(amount),
            "58": payee.country,
            "59": payee.name[:NAME_CHARS_MAX],
            "60": payee.city[:CITY_CHARS_MAX],
            _LABELS: _objects({"03": store[:LABEL_CHARS_MAX], "05": reference, "07": lane[:LABEL_CHARS_MAX]}),
            "64": _objects(local),
        }
    )
    return signed_off(text)


def read_code(text: str) -> Presented:
    """A code as the lender's app reads it, and as it must be for one sale. Raises MerchantCodeError for any other."""
    found = objects_of(text)
    account, labels = objects_within(found.get(_ACCOUNT, "")), objects_within(found.get(_LABELS, ""))
    if (found.get("01"), account.get("00")) != (_DYNAMIC, GUID) or not labels.get("05"):
        raise MerchantCodeError("This is no code for one sale on credit.")
    return Presented(account.get("01", ""), account.get("02", ""), labels["05"], _amount(found))


def objects_of(text: str) -> dict[str, str]:
    """The data objects of a code by id, its checksum checked and left out. Raises MerchantCodeError."""
    body, crc = text[:-4], text[-4:]
    if len(text) > CODE_CHARS_MAX or not body.startswith("000201") or not body.endswith(_CRC_ID_AND_LENGTH):
        raise MerchantCodeError("This is no merchant's code.")
    if f"{crc16(body.encode(errors='replace')):04X}" != crc:
        raise MerchantCodeError("The code was changed or is not whole.")
    return objects_within(body.removesuffix(_CRC_ID_AND_LENGTH))


def objects_within(text: str) -> dict[str, str]:
    """Data objects of a code or of a template in it, by id. Raises MerchantCodeError."""
    found: dict[str, str] = {}
    while text:
        head = text[:4]
        if not re.fullmatch("[0-9]{4}", head, re.ASCII) or len(text) < 4 + int(head[2:]) or head[:2] in found:
            raise MerchantCodeError("The code's data objects do not add up.")
        found[head[:2]], text = text[4 : 4 + int(head[2:])], text[4 + int(head[2:]) :]
    return found


def _amount(found: Mapping[str, str]) -> Money:
    """The amount, written in exactly the one way in which ``merchant_code`` writes it."""
    currency = next((name for name, number in NUMERIC_CURRENCIES.items() if number == found.get("53")), "")
    written = found.get("54", "")
    digits = written.replace(".", "")
    try:
        amount = Money(int(digits) if digits.isascii() and digits.isdecimal() else 0, currency)
    except MoneyError:
        raise MerchantCodeError("The code names no amount.") from None
    if format_plain(amount) != written:
        raise MerchantCodeError("The code names no amount.")
    return amount


def signed_off(text: str) -> str:
    """The text with its checksum as the last data object."""
    text += _CRC_ID_AND_LENGTH
    if len(text) + 4 > CODE_CHARS_MAX:
        raise MerchantCodeError(f"A merchant's code has at most {CODE_CHARS_MAX} characters.")
    return f"{text}{crc16(text.encode()):04X}"


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE; of ``123456789`` it is 29B1."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


def is_template(key: str) -> bool:
    """Ids 26 to 51 hold accounts, 62 additional data, 64 another language (table 3.1)."""
    return "26" <= key <= "51" or key in ("62", "64")


def _objects(values: Mapping[str, str]) -> str:
    """Data objects in order, those without a value left out."""
    for key, value in values.items():
        if len(value) > VALUE_CHARS_MAX:
            raise MerchantCodeError(f"The value of data object {key} is too long: {value!r:.60}.")
        if not value.isprintable():
            raise MerchantCodeError(f"The value of data object {key} holds control characters.")
    return "".join(f"{key}{len(value):02}{value}" for key, value in values.items() if value)
