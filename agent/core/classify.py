"""What kind of code a scan is: a table of shapes, the first that fits wins.

The one rule: classification looks at the shape alone. It trusts nothing, refuses nothing, and never raises.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["credit_pass", "wallet_alipay", "wallet_wechat", "wallet_unionpay", "item", "slip", "other"]

WALLETS: Final = ("wallet_alipay", "wallet_wechat", "wallet_unionpay")
"""The kinds that a wallet pays, online only. Each is the id of its rail, and stands where a lender stands."""


@dataclass(frozen=True, slots=True)
class Code:
    """A classified scan: its kind, and its text without the line ending that a scanner may append."""

    kind: Kind
    value: str


def gtin_valid(digits: str) -> bool:
    """Whether the last digit checks the others: weights 1, 3, 1, … from the right (GS1 General Specifications §7.9)."""
    weighted = (int(digit) * (1 + place % 2 * 2) for place, digit in enumerate(reversed(digits)))
    return sum(weighted) % 10 == 0


def _always(_text: str) -> bool:
    return True


# The shapes do not overlap: EAN and UPC have at most 13 digits, wallet codes at least 16, and the wallets differ in
# prefix or length. The order is for the reader.
_SHAPES: tuple[tuple[Kind, re.Pattern[str], Callable[[str], bool]], ...] = (
    # Base64 of 85 05 "CPV01" (EMVCo consumer-presented mode); the last bits of the tenth character are the next tag's.
    ("credit_pass", re.compile(r"hQVDUFYwM[Q-Za-f].*", re.ASCII | re.DOTALL), _always),
    ("slip", re.compile(r"(?:CFS1|CFC1):.*", re.ASCII | re.DOTALL), _always),
    # Alipay open platform, trade.pay auth_code: 16 to 24 digits, from 25 to 30.
    ("wallet_alipay", re.compile(r"(?:2[5-9]|30)[0-9]{14,22}"), _always),
    # WeChat Pay, micropay auth_code: 18 digits, from 10 to 15.
    ("wallet_wechat", re.compile(r"1[0-5][0-9]{16}"), _always),
    # UnionPay QuickPass C2B code: 19 digits, from 62.
    ("wallet_unionpay", re.compile(r"62[0-9]{17}"), _always),
    ("item", re.compile(r"[0-9]{8}|[0-9]{12,13}"), gtin_valid),  # EAN-8, UPC-A, EAN-13
)


def classify(scan: bytes) -> Code:
    """Classify the raw bytes of a scan; what is neither known nor UTF-8 is `other`, with replacement characters."""
    text = scan.decode("utf-8", "replace").strip()
    for kind, shape, valid in _SHAPES:
        if shape.fullmatch(text) and valid(text):
            return Code(kind, text)
    return Code("other", text)
