"""Money: an amount in integer minor units with its currency.

The one rule: an amount is an integer, 0 < minor < 2^53, and never a float. The bound is the largest range in which
every JSON reader (IEEE 754 double, RFC 8259 section 6) keeps each integer exact.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

MINOR_MAX = 2**53 - 1

_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)

# Minor-unit exponents that differ from 2 (ISO 4217, list one).
_EXPONENTS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}

# Only signs that no other currency at the same counter could be mistaken for; the rest print their code.
_SIGNS = {"CNY": "¥", "EUR": "€", "GBP": "£", "HKD": "HK$", "KRW": "₩", "MOP": "MOP$", "TWD": "NT$", "USD": "US$"}


class MoneyError(ValueError):
    """An amount or a currency that cannot be money; the only exception of this module."""


def check_currency(currency: object) -> str:
    """The three-letter code itself. Raises MoneyError for anything that is not shaped like ISO 4217."""
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise MoneyError(f"currency must be three capital letters (ISO 4217), not {currency!r}")
    return currency


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` in minor units of `currency` (fen for CNY). Raises MoneyError unless it is a whole number in range."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:  # bool is an int to isinstance, and True is not one fen
            raise MoneyError(f"an amount is an integer of minor units, not {type(self.minor).__name__}")
        if not 0 < self.minor <= MINOR_MAX:
            raise MoneyError(f"an amount lies between 1 and {MINOR_MAX} minor units, not {self.minor}")
        check_currency(self.currency)

    @classmethod
    def from_wire(cls, value: object) -> "Money":
        """Read {"minor": int, "currency": "CNY"}; unknown fields are ignored. Raises MoneyError."""
        if not isinstance(value, Mapping):
            raise MoneyError("an amount on the wire is an object with minor and currency")
        return cls(value.get("minor"), value.get("currency"))  # type: ignore[arg-type]  # checked in __post_init__

    def to_wire(self) -> dict[str, int | str]:
        """The form of every protocol and store: {"minor": int, "currency": "CNY"}."""
        return {"minor": self.minor, "currency": self.currency}

    def __str__(self) -> str:
        """As a slip prints it: ¥128.00, JPY 500, KWD 1.250."""
        return format_minor(self.minor, self.currency)


def format_minor(minor: int, currency: str) -> str:
    """An amount of any size, zero and below included (totals, limits), as a slip prints it: ¥0.00, -¥12.50."""
    return f"{'-' if minor < 0 else ''}{_SIGNS.get(currency, currency + ' ')}{format_units(abs(minor), currency)}"


def format_plain(amount: Money) -> str:
    """An amount for programs that write it in major units, without a sign of its currency: 128.00."""
    return format_units(amount.minor, amount.currency)


def format_units(minor: int, currency: str) -> str:
    """``minor`` (zero or more) in units of the currency, without its sign: 128.00."""
    exponent = _EXPONENTS.get(currency, 2)
    whole, fraction = divmod(minor, 10**exponent)
    return f"{whole}.{fraction:0{exponent}}" if exponent else str(whole)
