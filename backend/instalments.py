"""Instalments in the books: what a lane disclosed, what was sold by it, the fees that it leaves, and used coupons.

The one rule: a fee is posted only for a statement that the lane journaled before the sale, that adds up, and that the
sale's own entry names by digest. Whatever is doubtful of a plan or a coupon, the approved sale stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from agent.core.authorization import HoldEvent
from agent.core.coupons import Coupon, CouponRefused, check_use, read_coupon
from agent.core.disclosure import Choice, Statement, StatementError, digest, read_statement, statement
from agent.core.instalments import offer
from agent.core.journal import INT_END, Entry
from agent.core.plans import PlanError
from agent.core.policy import Policy
from backend import accounts, holds
from backend.accounts import Movement, Side
from backend.database import inserting, load, put, selecting
from backend.holds import Attempt
from backend.lenders import Lender, policy_of
from backend.schema import CouponUse, Hold, PlanSale
from backend.wire import AuthorizationRequest, from_b64url

DAYS_OFF_MAX: Final = 1
"""A lane's business day is its store's; between two places on earth there is never more."""

TIME_MAX: Final = 253_402_300_799
"""The last second of the year 9999: no calendar goes further."""

_FIND: Final = selecting(
    PlanSale, PlanSale.lane == "", PlanSale.lender == "", PlanSale.sale_id == "", PlanSale.attempt == 0
)
_SAVE: Final = inserting(PlanSale, "REPLACE")
_FIND_USE: Final = selecting(CouponUse, CouponUse.account == b"", CouponUse.lender == "", CouponUse.coupon == b"")
_USE: Final = inserting(CouponUse, "REPLACE")

DISCLOSED, SOLD, CAPTURED, UNDONE = "disclosed", "sold", "captured", "undone"


class PlanRefused(Exception):
    """An online request's plan or coupon that cannot be; ``reason`` is a text key. It never leaves the backend."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Doubt(NamedTuple):
    """What people must see of a plan: the sale stands all the same."""

    reason: str
    minor: int
    bearer: str


class _Use(NamedTuple):
    """What a coupon is to be used for."""

    account: bytes
    plan_id: str
    amount_minor: int


def check_online(request: AuthorizationRequest, lender: Lender, account: bytes, key: Attempt, now_s: int) -> None:
    """Whether this backend would offer the very same now, to the byte. Raises PlanRefused."""
    wish, terms, amount = request.plan, lender.policy.instalments, request.amount
    if wish is None:
        return
    plan = terms.find(wish.id) if terms else None
    if terms is None or plan is None:
        raise PlanRefused("plan_unknown")
    if not plan.is_for(amount.minor, request.category) or request.capture != "at_once":
        raise PlanRefused("plan_not_offered")
    sold_on = date.fromisoformat(wish.sold_on)
    if not _is_day(sold_on, now_s):
        raise PlanRefused("plan_changed")
    use = _Use(account, plan.plan_id, amount.minor)
    coupon = _good_coupon(wish.coupon, lender, use, now_s) if wish.coupon else None
    if coupon and not _is_free(coupon, account, key):
        raise PlanRefused("coupon_used")
    made = offer(plan, amount.minor, sold_on, interest_free=coupon is not None)
    if statement(terms, made, amount.currency, sold_on, coupon).digest != from_b64url(wish.statement):
        raise PlanRefused("plan_changed")
    if coupon:
        _take(coupon, account, key)


def _is_day(sold_on: date, at_s: int) -> bool:
    """Whether it can be the store's business day at a time."""
    day = datetime.fromtimestamp(min(at_s, TIME_MAX), UTC).date()
    return abs((sold_on - day).days) <= DAYS_OFF_MAX


def _good_coupon(text: str, lender: Lender, use: _Use, at: int) -> Coupon:
    try:
        coupon = read_coupon(text, lender.key_list, at=at)
        check_use(coupon, account=use.account, plan_id=use.plan_id, amount_minor=use.amount_minor, at=at)
    except CouponRefused as refused:
        raise PlanRefused(refused.reason) from None
    return coupon


def _is_free(coupon: Coupon, account: bytes, key: Attempt) -> bool:
    row = load(CouponUse, _FIND_USE, account, coupon.lender, coupon.coupon_id)
    return row is None or (row.lane, row.sale_id) in (("", ""), (key.lane, key.sale_id))


def _take(coupon: Coupon, account: bytes, key: Attempt) -> None:
    found = load(CouponUse, _FIND_USE, account, coupon.lender, coupon.coupon_id)
    row = found or CouponUse(account=account, lender=coupon.lender, coupon=coupon.coupon_id)
    _write_use(row, key.lane, key.sale_id)


def _write_use(row: CouponUse, lane: str, sale_id: str) -> None:
    row.lane, row.sale_id = lane, sale_id
    put(CouponUse, _USE, row.__data__)


def disclose(entry: Entry, key: Attempt, lender: Lender) -> str | None:
    """Keep what a lane showed before it asked. Else why not: it is no statement, of no account, comes too late, or is
    not what the lender's policy offers (a fee that nobody has agreed to is never posted)."""
    body = entry.body
    data, coupon, account = body.get("statement"), body.get("coupon"), body.get("account")
    if not isinstance(data, bytes) or not isinstance(coupon, str | None) or not isinstance(account, bytes):
        return "body_malformed"
    try:
        said = read_statement(data)
    except StatementError:
        return "body_malformed"
    known = _find(key)
    if len(account) != 16 or "\0" in said.plan_id + (coupon or "") or (known and known.state != DISCLOSED):
        return "body_malformed"
    if not _is_offered(said, _policy(lender, body.get("policy_version")), entry.recorded_at):
        return "plan_differs"
    row = known or PlanSale(**asdict(key))
    row.account, row.state, row.plan, row.statement, row.coupon = account, DISCLOSED, said.plan_id, data, coupon
    _save(row)
    return None


def _policy(lender: Lender, version: object) -> Policy | None:
    """The policy of this version, which may be an older one; None for what is no version. One that restored books have
    forgotten (or that never was) is judged by the policy in force: what it offers too, the lender has agreed to."""
    if type(version) is not int or not 0 < version < INT_END:
        return None
    known = lender.policy if version == lender.policy.version else policy_of(lender.lender, version)
    return known or lender.policy


def _is_offered(said: Statement, policy: Policy | None, at_s: int) -> bool:
    """Whether the policy makes this very statement, but for the coupon, which is judged when it is used."""
    terms = policy.instalments if policy else None
    plan = terms.find(said.plan_id) if terms else None
    if policy is None or terms is None or plan is None or not _is_day(said.sold_on, at_s):
        return False
    try:
        made = offer(plan, said.principal_minor, said.sold_on, interest_free=said.coupon_id is not None)
    except PlanError:
        return False
    wanted = statement(terms, made, policy.currency, said.sold_on, None)
    return replace(wanted, coupon_id=said.coupon_id, borne_by=said.borne_by).encode() == said.encode()


def follow(hold: Hold, event: HoldEvent, entry: Entry, lender: Lender) -> Doubt | None:
    """What the plan of a sale does when its hold has changed; None: nothing, or nothing doubtful."""
    key = Attempt(hold.lane, hold.lender, hold.sale_id, hold.attempt)
    if event is HoldEvent.APPROVE:
        return _sell(key, entry, lender) if entry.body.get("plan") is not None else None
    row = _find(key) if event in _ENDS else None
    if row is None:
        return None
    if event is HoldEvent.CAPTURE and row.state == SOLD:
        _post_fees(hold, row, 0, hold.captured_minor)
        row.state = CAPTURED
    elif not event.startswith(HoldEvent.CAPTURE):
        _free_coupon(row)
        row.state = UNDONE
    _save(row)
    return None


_ENDS: Final = frozenset(HoldEvent) - {HoldEvent.INTEND, HoldEvent.APPROVE}


def refunded(hold: Hold, before_minor: int, *, is_void: bool) -> None:
    """Fees go back as the principal does, in the same share: all of them with the last part of it. A void is as if the
    sale had never been: its coupon is good again."""
    row = _find(Attempt(hold.lane, hold.lender, hold.sale_id, hold.attempt))
    if row is not None and row.state == CAPTURED and hold.refunded_minor > before_minor:
        _post_fees(hold, row, before_minor, hold.refunded_minor, is_back=True)
        if is_void:
            _free_coupon(row)


def _sell(key: Attempt, entry: Entry, lender: Lender) -> Doubt | None:
    row, amount_minor = _find(key), int(entry.body["amount_minor"])
    try:
        choice = Choice.of_body(entry.body["plan"])
    except StatementError:
        return Doubt("plan_malformed", amount_minor, "operator")
    if row is None or digest(bytes(row.statement)) != choice.statement:
        return Doubt("plan_undisclosed", choice.fee_minor, "operator")
    said = read_statement(bytes(row.statement))
    if (Choice.of(said), said.principal_minor, said.currency) != (choice, amount_minor, entry.body["currency"]):
        return Doubt("plan_differs", choice.fee_minor, "operator")
    row.state = SOLD
    _save(row)
    return _coupon_doubt(key, row, said, entry, lender)


def _coupon_doubt(key: Attempt, row: PlanSale, said: Statement, entry: Entry, lender: Lender) -> Doubt | None:
    """The coupon of a sale that a lane approved: signed for it, and not used by another sale before."""
    if said.coupon_id is None:
        return None
    account = bytes(row.account)
    try:
        use = _Use(account, said.plan_id, said.principal_minor)
        coupon = _good_coupon(row.coupon or "", lender, use, entry.recorded_at)
    except PlanRefused as refused:
        return Doubt(refused.reason, said.waived_minor if said.borne_by == "lender" else 0, "merchant")
    if coupon.coupon_id != said.coupon_id or coupon.borne_by != said.borne_by:
        return Doubt("plan_differs", said.waived_minor, "operator")
    if not _is_free(coupon, account, key):
        # What the merchant bears is in its fees already.
        return Doubt("coupon_used", said.waived_minor if coupon.borne_by == "lender" else 0, coupon.borne_by)
    _take(coupon, account, key)
    return None


def _post_fees(hold: Hold, row: PlanSale, before_minor: int, now_minor: int, *, is_back: bool = False) -> None:
    """Double entry of the fees that go with a part of the captured principal: from ``before_minor`` to ``now_minor``.
    Where no debt is, no fee is."""
    account, whole = accounts.find(hold.lender, bytes(row.account)), hold.captured_minor
    assert account is not None, "a hold that moved money has an account, and accounts are never deleted"
    if not whole:
        return
    movements = []
    for side, minor in fees_of(read_statement(bytes(row.statement))).items():
        part = minor * now_minor // whole - minor * before_minor // whole
        movements.append(Movement(*((Side.FEE_INCOME, side) if is_back else (side, Side.FEE_INCOME)), part))
    cause = f"{'fees back of' if is_back else 'fees of'} {hold.lane}/{hold.sale_id}/{hold.attempt}"
    accounts.post(account, *movements, cause=cause)


def fees_of(said: Statement) -> dict[Side, int]:
    """Who owes the lender what of a plan's fee; what a coupon of the lender waived is the lender's own cost."""
    own = said.waived_minor if said.borne_by == "lender" else 0
    return {Side.FEE: said.fee_minor, Side.MERCHANT_FEE: said.merchant_fee_minor, Side.COUPON: own}


def fees_due(row: PlanSale, captured_minor: int, refunded_minor: int) -> dict[Side, int]:
    """What is left of a sale's fees after refunds; the audit compares the postings with it."""
    if row.state != CAPTURED or not captured_minor:
        return dict.fromkeys(fees_of(read_statement(bytes(row.statement))), 0)
    parts = fees_of(read_statement(bytes(row.statement)))
    return {side: minor - minor * refunded_minor // captured_minor for side, minor in parts.items()}


def merchant_fees_minor(lane: str, lender: str, sales: set[tuple[str, int]]) -> int:
    """What the merchant bears of the fees of these captured sales (sale id, attempt) of a lane."""
    rows = (_find(Attempt(lane, lender, *sale)) for sale in sales)
    found = [row for row in rows if row is not None and row.state == CAPTURED]
    return sum(read_statement(bytes(row.statement)).merchant_fee_minor for row in found)


def sales_of(lender: str, account: bytes) -> Iterator[tuple[PlanSale, Statement]]:
    """The sales in instalments of one account that were captured, in the order of their keys."""
    mine = (PlanSale.account == account) & (PlanSale.lender == lender) & (PlanSale.state == CAPTURED)
    for row in PlanSale.select().where(mine).order_by(PlanSale.lane, PlanSale.sale_id, PlanSale.attempt):
        yield row, read_statement(bytes(row.statement))


def _free_coupon(row: PlanSale) -> None:
    """Good again, unless a later attempt of the sale uses it, whose answer came before this attempt's end did."""
    said = read_statement(bytes(row.statement))
    if said.coupon_id is None:
        return
    use = load(CouponUse, _FIND_USE, bytes(row.account), row.lender, said.coupon_id)
    if use is None or (use.lane, use.sale_id) != (row.lane, row.sale_id):
        return
    if not holds.is_open_otherwise(Attempt(row.lane, row.lender, row.sale_id, row.attempt)):
        _write_use(use, "", "")


def _find(key: Attempt) -> PlanSale | None:
    return load(PlanSale, _FIND, key.lane, key.lender, key.sale_id, key.attempt)


def _save(row: PlanSale) -> None:
    put(PlanSale, _SAVE, row.__data__)
