"""Interest-free coupons: a lender's signed word that one sale of one account costs its customer no fee.

The one rule: a coupon that exists is inside this form, and is used once: by the sale that it is written down with.

``CFK1:`` and base64url (no padding) of a COSE_Sign1 (typ ``counterfoil-coupon``, key of role coupon) over the map
{1 id 16 bytes, 2 lender, 3 account 16 bytes, 4 valid_from, 5 expires_at (UTC seconds), 6 plans [id] (none: all),
7 amount_max_minor, 8 borne_by lender | merchant}. It names its account, so that a copy is worth nothing to others and
its use is a matter of that account's books alone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from agent.core import trust
from agent.core.cose import Signer
from agent.core.money import MINOR_MAX
from agent.core.plans import PLANS_MAX
from agent.core.trust import KeyList, Role, TrustError

PREFIX: Final = "CFK1:"
TYP: Final = "counterfoil-coupon"
CHARS_MAX: Final = 1024
ID_BYTES: Final = 16
ACCOUNT_BYTES: Final = 16
TIME_END: Final = 2**53

BorneBy = Literal["lender", "merchant"]

REASONS: Final = (
    "coupon_malformed", "coupon_other_lender", "coupon_untrusted", "coupon_other_account", "coupon_not_yet",
    "coupon_expired", "coupon_other_plan", "coupon_amount", "coupon_used",
)  # fmt: skip
"""Why a coupon is refused: keys of the text catalogue."""


class CouponRefused(Exception):
    """The coupon does not count; ``reason`` is one of ``REASONS``. The only exception of this file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Coupon:
    """What a lender promised: valid while ``valid_from <= t < expires_at``, for sales up to ``amount_max_minor``.

    ``plans``: for these alone, () for all. ``borne_by`` pays the fee that the customer does not.
    """

    coupon_id: bytes
    lender: str
    account: bytes
    valid_from: int
    expires_at: int
    amount_max_minor: int
    borne_by: BorneBy = "merchant"
    plans: tuple[str, ...] = ()


def issue_coupon(coupon: Coupon, key: Signer) -> str:
    """The coupon's text, signed by a lender key of role coupon. Raises CouponRefused for one that nobody could read."""
    claims = dict(enumerate(_values(coupon), 1))
    _coupon(claims)
    data = trust.sign_document(claims, key, TYP)
    return PREFIX + base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read_coupon(text: str, keys: KeyList, *, at: int) -> Coupon:
    """The coupon of this text, if the lender of ``keys`` signed it; ``at`` judges the key.

    Raises CouponRefused: coupon_malformed, coupon_untrusted, coupon_other_lender.
    """
    data = _data(text)
    try:
        coupon = _coupon(trust.verify_document(data, keys, role=Role.COUPON, typ=TYP, at=at))
    except TrustError as error:
        # Another lender's key is simply not in this list; only a broken text is the customer's to bring again.
        reasons = {"malformed": "coupon_malformed", "key_unknown": "coupon_other_lender"}
        raise CouponRefused(reasons.get(error.reason, "coupon_untrusted")) from None
    if coupon.lender != keys.lender:
        raise CouponRefused("coupon_other_lender")
    return coupon


def check_use(coupon: Coupon, *, account: bytes | None, plan_id: str, amount_minor: int, at: int) -> None:
    """Whether the coupon is for this sale, at ``at`` (UTC seconds); ``account`` None: not known yet.

    Raises CouponRefused: coupon_other_account, coupon_not_yet, coupon_expired, coupon_other_plan, coupon_amount.
    """
    checks = (
        (account is None or account == coupon.account, "coupon_other_account"),
        (coupon.valid_from <= at, "coupon_not_yet"),
        (at < coupon.expires_at, "coupon_expired"),
        (not coupon.plans or plan_id in coupon.plans, "coupon_other_plan"),
        (amount_minor <= coupon.amount_max_minor, "coupon_amount"),
    )
    for holds, reason in checks:
        if not holds:
            raise CouponRefused(reason)


def _data(text: str) -> bytes:
    if not text.startswith(PREFIX) or len(text) > CHARS_MAX:
        raise CouponRefused("coupon_malformed")
    body = text.removeprefix(PREFIX)
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise CouponRefused("coupon_malformed") from None


def _values(coupon: Coupon) -> tuple[Any, ...]:
    return (
        coupon.coupon_id, coupon.lender, coupon.account, coupon.valid_from, coupon.expires_at, list(coupon.plans),
        coupon.amount_max_minor, coupon.borne_by,
    )  # fmt: skip


def _coupon(claims: Mapping[Any, Any]) -> Coupon:
    coupon_id, lender, account, begins, ends, plans, amount_max, borne_by = (claims.get(place) for place in range(1, 9))
    holds = (
        isinstance(coupon_id, bytes) and len(coupon_id) == ID_BYTES,
        isinstance(lender, str),
        isinstance(account, bytes) and len(account) == ACCOUNT_BYTES,
        _is_whole(begins, TIME_END) and _is_whole(ends, TIME_END),
        isinstance(plans, list) and len(plans) <= PLANS_MAX and all(isinstance(plan, str) for plan in plans),
        _is_whole(amount_max, MINOR_MAX),
        borne_by in get_args(BorneBy),
    )
    if not all(holds):
        raise CouponRefused("coupon_malformed")
    return Coupon(coupon_id, lender, account, begins, ends, amount_max, borne_by, tuple(plans))  # type: ignore[arg-type]  # checked above


def _is_whole(value: Any, largest: int) -> bool:
    return type(value) is int and 0 <= value <= largest
