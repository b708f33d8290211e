"""Instalments in the books: what a lane disclosed, what was sold by it, and the fees that it leaves.

The one rule: a fee is posted only for a statement that the lane journaled before the sale, that adds up, and that the
sale's own entry names by digest. Whatever is doubtful of a plan or a coupon, the approved sale stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from peewee import fn

from agent.core.authorization import UNDECIDED, HoldEvent, HoldState
from agent.core.disclosure import Choice, Statement, StatementError, digest, part_left, read_statement, statement
from agent.core.instalments import offer
from agent.core.journal import INT_END, Entry
from agent.core.plans import PlanError
from agent.core.policy import Policy
from backend import accounts, coupons, holds
from backend.accounts import Side
from backend.coupons import PlanRefused
from backend.database import inserting, load, put, selecting
from backend.holds import Attempt
from backend.lenders import Lender, policy_of
from backend.schema import Account, Hold, MerchantShare, PlanSale
from backend.wire import AuthorizationRequest, from_b64url

DAYS_OFF_MAX: Final = 1
"""A lane's business day is its store's; between two places on earth there is never more."""

TIME_MAX: Final = 253_402_300_799
"""The last second of the year 9999: no calendar goes further."""

_FIND: Final = selecting(
    PlanSale, PlanSale.lane == "", PlanSale.lender == "", PlanSale.sale_id == "", PlanSale.attempt == 0
)
_SAVE: Final = inserting(PlanSale, "REPLACE")
_SHARE: Final = inserting(MerchantShare)

DISCLOSED, SOLD, CAPTURED, UNDONE = "disclosed", "sold", "captured", "undone"


class Doubt(NamedTuple):
    """What people must see of a plan: the sale stands all the same."""

    reason: str
    minor: int
    bearer: str


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
    use = coupons.Use(account, plan.plan_id, amount.minor)
    coupon = coupons.good(wish.coupon, lender, use, now_s) if wish.coupon else None
    if coupon and not coupons.is_free(coupon, account, key):
        raise PlanRefused("coupon_used")
    made = offer(plan, amount.minor, sold_on, interest_free=coupon is not None)
    if statement(terms, made, amount.currency, sold_on, coupon).digest != from_b64url(wish.statement):
        raise PlanRefused("plan_changed")
    if coupon:
        coupons.take(coupon, account, key)


def _is_day(sold_on: date, at_s: int) -> bool:
    """Whether it can be the store's business day at a time."""
    day = datetime.fromtimestamp(min(at_s, TIME_MAX), UTC).date()
    return abs((sold_on - day).days) <= DAYS_OFF_MAX


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
    row = _find(key) if hold.state in _ENDS else None
    if row is None:
        return None
    if hold.state != HoldState.CAPTURED:
        _undo(row)
    elif row.state == SOLD:
        row.state = CAPTURED
        due = fees_due(row, hold.captured_minor, 0)
        accounts.charge_fees(_account(row), due, f"fees of {key}")
        _share(entry, due[Side.MERCHANT_FEE])
        _save(row)
    return None


_ENDS: Final = frozenset({HoldState.CAPTURED, HoldState.DECLINED, HoldState.REVERSED, HoldState.EXPIRED})


def undone(hold: Hold) -> None:
    """The attempt came to nothing before its lane had approved it."""
    row = _find(Attempt(hold.lane, hold.lender, hold.sale_id, hold.attempt))
    if row is not None and row.state == DISCLOSED and hold.state in UNDECIDED:
        _undo(row)


def _undo(row: PlanSale) -> None:
    row.state = UNDONE
    _save(row)
    _free_coupon(row)


def _free_coupon(row: PlanSale) -> None:
    said = read_statement(bytes(row.statement))
    if said.coupon_id is not None:
        coupons.free(row, said.coupon_id)


def refunded(hold: Hold, before_minor: int, entry: Entry, *, is_void: bool) -> None:
    """Fees go back as the principal does, in the same share: all of them with the last part of it. A void is as if the
    sale had never been: its coupon is good again."""
    row = _find(Attempt(hold.lane, hold.lender, hold.sale_id, hold.attempt))
    if row is not None and row.state == CAPTURED and hold.refunded_minor > before_minor:
        before, left = (fees_due(row, hold.captured_minor, minor) for minor in (before_minor, hold.refunded_minor))
        back = {side: minor - left[side] for side, minor in before.items()}
        accounts.give_fees_back(_account(row), back, f"fees back of {holds.cause(hold)}")
        _share(entry, -back[Side.MERCHANT_FEE])
        if is_void:
            _free_coupon(row)


def _sell(key: Attempt, entry: Entry, lender: Lender) -> Doubt | None:
    """A plan that is doubtful leaves no fee; the coupon that its customer was shown is used up all the same."""
    row, amount_minor = _find(key), int(entry.body["amount_minor"])
    try:
        choice = Choice.of_body(entry.body["plan"])
    except StatementError:
        return Doubt("plan_malformed", amount_minor, "operator")
    if row is None or digest(bytes(row.statement)) != choice.statement:
        return Doubt("plan_undisclosed", choice.fee_minor, "operator")
    said = read_statement(bytes(row.statement))
    of_coupon = _coupon_doubt(key, row, said, entry, lender)
    if (Choice.of(said), said.principal_minor, said.currency) != (choice, amount_minor, entry.body["currency"]):
        return Doubt("plan_differs", choice.fee_minor, "operator")
    row.state = SOLD
    _save(row)
    return of_coupon


def _coupon_doubt(key: Attempt, row: PlanSale, said: Statement, entry: Entry, lender: Lender) -> Doubt | None:
    """The coupon of a sale that a lane approved: signed for it, and not used by another sale before."""
    if said.coupon_id is None:
        return None
    account = bytes(row.account)
    try:
        use = coupons.Use(account, said.plan_id, said.principal_minor)
        coupon = coupons.good(row.coupon or "", lender, use, entry.recorded_at)
    except PlanRefused as refused:
        return Doubt(refused.reason, said.waived_minor if said.borne_by == "lender" else 0, "merchant")
    if coupon.coupon_id != said.coupon_id or coupon.borne_by != said.borne_by:
        return Doubt("plan_differs", said.waived_minor, "operator")
    if not coupons.is_free(coupon, account, key):
        # What the merchant bears is in its fees already.
        return Doubt("coupon_used", said.waived_minor if coupon.borne_by == "lender" else 0, coupon.borne_by)
    coupons.take(coupon, account, key)
    return None


def _account(row: PlanSale) -> Account:
    account = accounts.find(row.lender, bytes(row.account))
    assert account is not None, "a hold that moved money has an account, and accounts are never deleted"
    return account


def _fees_of(said: Statement, debt_minor: int) -> dict[Side, int]:
    """Who owes the lender what of a plan's fee, in the share of its principal that became debt, rounded down: where no
    debt is, no fee is. What a coupon of the lender waived is the lender's own cost."""
    own = said.waived_minor if said.borne_by == "lender" else 0
    whole = {Side.FEE: said.fee_minor, Side.MERCHANT_FEE: said.merchant_fee_minor, Side.COUPON: own}
    return {side: minor * debt_minor // said.principal_minor for side, minor in whole.items()}


def fees_due(row: PlanSale, captured_minor: int, refunded_minor: int) -> dict[Side, int]:
    """What is left of a sale's fees after refunds; the audit compares the postings with it."""
    debt_minor = captured_minor if row.state == CAPTURED else 0
    parts = _fees_of(read_statement(bytes(row.statement)), debt_minor)
    return {side: part_left(minor, debt_minor, refunded_minor) for side, minor in parts.items()}


def _share(entry: Entry, minor: int) -> None:
    if minor:
        values = {"lane": entry.lane, "epoch": entry.epoch, "number": entry.number, "lender": entry.lender}
        put(MerchantShare, _SHARE, values | {"minor": minor})


def merchant_fees_minor(lane: str, lender: str, epoch: int, first_number: int, last_number: int) -> int:
    """What these entries of a lane laid on the merchant of the fees of its sales, less what they gave back."""
    mine = (MerchantShare.lane == lane) & (MerchantShare.epoch == epoch) & (MerchantShare.lender == lender)
    within = MerchantShare.number.between(first_number, last_number)
    return int(MerchantShare.select(fn.SUM(MerchantShare.minor)).where(mine, within).scalar() or 0)


def sales_of(lender: str, account: bytes) -> Iterator[tuple[PlanSale, Statement]]:
    """The sales in instalments of one account that were captured, in the order of their keys."""
    mine = (PlanSale.account == account) & (PlanSale.lender == lender) & (PlanSale.state == CAPTURED)
    for row in PlanSale.select().where(mine).order_by(PlanSale.lane, PlanSale.sale_id, PlanSale.attempt):
        yield row, read_statement(bytes(row.statement))


def _find(key: Attempt) -> PlanSale | None:
    return load(PlanSale, _FIND, key.lane, key.lender, key.sale_id, key.attempt)


def _save(row: PlanSale) -> None:
    put(PlanSale, _SAVE, row.__data__)
