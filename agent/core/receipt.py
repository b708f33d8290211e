"""The receipt: what a slip says about a sale, as plain values. How it looks is the printable document's business.

The one rule: a receipt holds nothing that the journal entry does not, and no full account token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.core.authorization import Hold
from agent.core.disclosure import Statement
from agent.core.journal import Kind, Position
from agent.core.money import Money

SLIP_CODE_PREFIX: Final = "CFS1"
MASKED_CHARS: Final = 4

APPROVED: Final = "approved"
DECLINED: Final = "declined"
"""What no slip is printed for unless somebody asks."""
OCCASIONS: Final[Mapping[str, str]] = {
    Kind.ONLINE_OUTCOME: APPROVED,
    Kind.AUTHORIZATION: APPROVED,
    Kind.CAPTURE: "captured",
    Kind.REVERSAL: "reversed",
    Kind.VOID: "voided",
    Kind.REFUND: "refunded",
}
"""What a slip is about, by the kind of entry that it is printed for; the name of its headline."""
GIVES_BACK: Final = frozenset({OCCASIONS[Kind.VOID], OCCASIONS[Kind.REFUND]})


@dataclass(frozen=True, slots=True)
class Seller:
    """Who sells, as printed on every slip."""

    merchant: str
    store: str
    lane: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """One decided sale, or what became of it: ``occasion`` is one of ``OCCASIONS`` or declined, ``amount`` what it was
    about, and ``sold`` what was approved then (of a void or a refund: what was charged), at lane ``sold_at`` if at
    another one.
    ``local_time`` is the store's, with its offset; ``entry`` the place in the lane's journal.

    ``account`` is empty for a sale that a wallet paid, and ``lender`` then the wallet.
    ``is_guaranteed``: paid by the lane's lease, so that the backend never declines it afterwards; an approval under the
    pass's own cap is the lender's risk instead, and the slip must not say more. ``plan``: what was disclosed of its
    instalments. ``reason`` is why it was declined; ``is_signed``: the merchant keeps a part that the customer signs.
    ``is_held``: approved and captured later, so that nothing is charged yet; ``plan_left_minor``: what the customer
    still pays of the plan after a void or refund.
    """

    seller: Seller
    lender: str
    sale_id: str
    amount: Money
    local_time: str
    account: str
    authorization_code: str
    response_code: str
    is_online: bool
    is_guaranteed: bool
    entry: Position
    code: str
    plan: Statement | None = None
    occasion: str = APPROVED
    sold: Money | None = None
    sold_at: str | None = None
    reason: str = ""
    is_signed: bool = False
    is_held: bool = False
    plan_left_minor: int | None = None


def masked(account: bytes | None) -> str:
    """The last characters of an account token, enough for two people to compare: ``****9f3a``."""
    return "****" + (account.hex()[-MASKED_CHARS:] if account else "")


def slip_code(lane: str, sale_id: str) -> str:
    """The text of the slip's QR code: scan it at the counter to look the sale up. Between the parts is what no name of
    a lane and no sale id has in it; both may have dots."""
    return ":".join((SLIP_CODE_PREFIX, lane, sale_id))


def read_slip_code(text: str) -> tuple[str, str] | None:
    """Lane and sale id of a slip's code; None if it is none. (A stand-in approval's carries a claim instead.)"""
    prefix, *names = text.split(":")
    return (names[0], names[1]) if prefix == SLIP_CODE_PREFIX and len(names) == 2 and all(names) else None


def receipt_of(
    hold: Hold,
    *,
    seller: Seller,
    lender: str,
    local_time: str,
    entry: Position,
    occasion: str = APPROVED,
) -> Receipt:
    """The receipt of what is recorded of a hold at ``entry``: its decision, or what becomes of it, in full."""
    sold = Money(hold.amount_minor, hold.currency)
    charged = Money(hold.captured_minor, hold.currency) if hold.captured_minor else sold
    return Receipt(
        seller=seller,
        lender=lender,
        sale_id=hold.sale_id,
        amount=sold,
        local_time=local_time,
        account=masked(hold.account) if hold.account else "",
        authorization_code=hold.authorization_code or "",
        response_code=hold.response_code or "",
        is_online=hold.mode == "online",
        is_guaranteed=hold.lease_minor > 0,
        entry=entry,
        code=slip_code(seller.lane, hold.sale_id),
        occasion=occasion,
        is_held=occasion == APPROVED and hold.capture == "later",
        sold=None if occasion in (APPROVED, DECLINED) else charged if occasion in GIVES_BACK else sold,
    )
