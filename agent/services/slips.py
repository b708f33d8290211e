"""A receipt laid out as a printable document, in the words of the catalogue.

The one rule: the amount and whether the sale went through can be read at arm's length.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agent.core.receipt import Receipt
from agent.texts import Language, slip
from drivers.document import Cut, Document, Feed, Pair, Qr, Rule, Text


def sale_slip(receipt: Receipt, language: Language) -> Document:
    """The customer's slip of an approved sale."""

    def label(key: str) -> str:
        return slip(language, key)

    seller = receipt.seller
    offline = "offline_guaranteed" if receipt.is_guaranteed else "offline"
    mode = label("online" if receipt.is_online else offline)
    return Document(
        (
            Text(seller.merchant, align="center", bold=True),
            Text(seller.store, align="center"),
            Rule(),
            Text(label("approved"), align="center", bold=True, size="double"),
            Text(str(receipt.amount), align="center", bold=True, size="double"),
            Text(mode, align="center"),
            Rule(),
            Pair(label("lender"), receipt.lender),
            Pair(label("account"), receipt.account),
            Pair(label("authorization_code"), receipt.authorization_code),
            Pair(label("response_code"), receipt.response_code),
            Pair(label("time"), receipt.local_time),
            Pair(label("lane"), seller.lane),
            Pair(label("entry_number"), f"{receipt.entry.epoch}-{receipt.entry.number}"),
            Text(f"{label('sale_id')}: {receipt.sale_id}"),
            Rule(),
            Qr(receipt.code),
            Text(label("scan_to_look_up"), align="center"),
            Text(label("thanks"), align="center"),
            Feed(1),
            Cut(),
        ),
        language,
    )


def local_time(at_s: int, zone: str) -> str:
    """UTC seconds as the store's wall clock with its offset: ``2026-11-22 18:05:09 +08:00``."""
    moment = datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(zone))
    offset = moment.strftime("%z")
    return f"{moment:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:]}"
