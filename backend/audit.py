"""The audit: whether the books keep what they promise, from the rows alone.

The one rule: nothing is corrected here. A finding is a sentence; no finding means that every promise below holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from peewee import fn

from agent.core.authorization import OPEN, UNDECIDED, HoldState
from agent.core.journal import Head, JournalError
from backend import accounts, allowances, chain, holds, ingest, instalments
from backend.accounts import Side
from backend.database import rows
from backend.holds import Attempt
from backend.lenders import Lender
from backend.schema import Account, CapUse, Dispute, Hold, Journal, Posting


@dataclass(frozen=True, slots=True)
class AccountState:
    """The books of one account, minor units. Outside of the limit: ``fee_minor``, what the customer owes for plans,
    and ``cap_minor``, the lender's risk."""

    lender: str
    token: bytes
    limit_minor: int
    used_minor: int
    held_minor: int
    outstanding_minor: int
    fee_minor: int
    cap_minor: int
    limit_cut: bool

    @property
    def available_minor(self) -> int:
        return self.limit_minor - self.used_minor - self.held_minor - self.outstanding_minor


def account_state(account: Account) -> AccountState:
    cap = CapUse.select(fn.SUM(CapUse.amount_minor)).where(
        CapUse.account == account.token, CapUse.lender == account.lender
    )
    return AccountState(
        lender=account.lender,
        token=bytes(account.token),
        limit_minor=account.limit_minor,
        used_minor=account.used_minor,
        held_minor=account.held_minor,
        outstanding_minor=sum(allowances.outstanding_by_lane(account.lender, account.token).values()),
        fee_minor=account.fee_minor,
        cap_minor=int(cap.scalar() or 0),
        limit_cut=account.limit_cut,
    )


def findings(lenders: Mapping[str, Lender]) -> Iterator[str]:
    """Every broken promise in a sentence."""
    yield from account_findings(lenders)
    yield from chain_findings()


def account_findings(lenders: Mapping[str, Lender]) -> Iterator[str]:
    """Promise 4, and whether each account agrees with its holds."""
    for lender in lenders:
        for account in accounts.every(lender):
            yield from of_account(account)


def chain_findings() -> Iterator[str]:
    """Promise 2: the journal of every lane chains from its first entry to its head."""
    for lane in Journal.select():
        yield from of_journal(lane)


def disputes() -> Iterator[str]:
    """What people must look at; none of it breaks a promise."""
    for row in Dispute.select().order_by(Dispute.lane, Dispute.epoch, Dispute.number):
        yield f"{row.lane} {row.epoch}/{row.number}: {row.reason}, {row.amount_minor} minor, borne by {row.bearer}"


def of_account(account: Account) -> Iterator[str]:
    """The broken promises of one account. To be called inside a transaction where others write."""
    state = account_state(account)
    name = f"{state.lender}/{state.token.hex()}"
    if state.available_minor < 0 and not state.limit_cut:
        promised = state.limit_minor - state.available_minor
        yield f"{name}: {promised} promised, the limit is {state.limit_minor}"
    if state.used_minor < 0 or state.held_minor < 0:
        yield f"{name}: used {state.used_minor} and held {state.held_minor} must not be negative"
    mine = Hold.select(fn.SUM(Hold.held_minor)).where(Hold.account == account.token, Hold.lender == account.lender)
    if (held := int(mine.scalar() or 0)) != state.held_minor:
        yield f"{name}: its holds add up to {held}, the account says {state.held_minor}"
    yield from _ledger(account, name)
    if mine.where(Hold.state << [str(state) for state in _ENDED]).scalar():
        yield f"{name}: a hold that has ended still holds money"
    yield from _sales(account, name)


_ENDED: Final = frozenset(HoldState) - OPEN - UNDECIDED
"""States in which nothing is held any more. What an online answer holds is held before the lane has decided."""


def _sales(account: Account, name: str) -> Iterator[str]:
    """Of each sale: no more captured than approved, no more given back than captured, and each posted once."""
    posted = _posted_debt(account)
    mine = Hold.select().where(Hold.account == account.token, Hold.lender == account.lender)
    for hold in mine.where(Hold.captured_minor + Hold.uncovered_minor + Hold.reserved_minor > 0):
        sale, captured = f"{name}: {hold.lane}/{hold.sale_id}", holds.captured(hold)
        if captured > hold.amount_minor:
            yield f"{sale} captured {captured} of {hold.amount_minor}"
        if hold.refunded_minor > hold.captured_minor or hold.reserved_minor < 0 or holds.given_back(hold) > captured:
            yield f"{sale} gave back {holds.given_back(hold)} and owes {hold.reserved_minor} of {captured}"
        debt, posted_minor = hold.captured_minor - hold.refunded_minor, posted.get(holds.cause(hold), 0)
        if debt != posted_minor:
            yield f"{sale} is a debt of {debt}, its postings say {posted_minor}"


def _posted_debt(account: Account) -> dict[str, int]:
    """What the postings of each sale left of the merchants' claim, by cause."""
    mine = (Posting.account == account.token) & (Posting.lender == account.lender)
    debt: dict[str, int] = defaultdict(int)
    for debit, credit, cause, minor in rows(
        Posting.select(Posting.debit, Posting.credit, Posting.cause, fn.SUM(Posting.minor))
        .where(mine, (Posting.debit == Side.MERCHANT) | (Posting.credit == Side.MERCHANT))
        .group_by(Posting.debit, Posting.credit, Posting.cause)
    ):
        debt[cause.removeprefix("refund ")] += int(minor) * ((credit == Side.MERCHANT) - (debit == Side.MERCHANT))
    return debt


def _ledger(account: Account, name: str) -> Iterator[str]:
    """Double entry: what the account's postings add up to, side by side, is what its row and its holds say."""
    mine = (Posting.account == account.token) & (Posting.lender == account.lender)
    balance: dict[str, int] = dict.fromkeys(map(str, Side), 0)
    for debit, credit, minor in rows(
        Posting.select(Posting.debit, Posting.credit, fn.SUM(Posting.minor))
        .where(mine)
        .group_by(Posting.debit, Posting.credit)
    ):
        balance[debit] += int(minor)
        balance[credit] -= int(minor)
    of_account = (Hold.account == account.token) & (Hold.lender == account.lender)
    debt = Hold.select(fn.SUM(Hold.captured_minor - Hold.refunded_minor)).where(of_account).scalar()
    expected = {
        Side.HELD: account.held_minor,
        Side.AVAILABLE: -account.held_minor,
        Side.USED: account.used_minor,
        Side.MERCHANT: -int(debt or 0),
    }
    for side, minor in (expected | _fees(account)).items():
        if balance[side] != minor:
            yield f"{name}: its postings leave {balance[side]} {side}, the books say {minor}"
    if sum(balance.values()):
        yield f"{name}: its postings are out of balance by {sum(balance.values())}"


def _fees(account: Account) -> dict[Side, int]:
    """What the account's sales in instalments leave on the sides of fees, whatever the customer has paid of them."""
    due = {Side.FEE: 0, Side.MERCHANT_FEE: 0, Side.COUPON: 0}
    for sale, _said in instalments.sales_of(account.lender, bytes(account.token)):
        hold = holds.find(Attempt(sale.lane, sale.lender, sale.sale_id, sale.attempt))
        for side, minor in instalments.fees_due(sale, hold.captured_minor, hold.refunded_minor).items():
            due[side] += minor
    return due | {Side.FEE: account.fee_minor, Side.FEE_INCOME: -sum(due.values())}


def of_journal(lane: Journal) -> Iterator[str]:
    """The stored bytes must chain from the first entry to the head that the lane's row states."""
    head = Head(lane.lane, lane.epoch)
    number, last = 0, head.hash
    try:
        for link in chain.follow(head, ingest.entries_between(lane.lane, lane.epoch, 1, lane.number)):
            number, last = link.number, link.hash
    except JournalError as error:
        yield f"{lane.lane}: the journal does not chain after entry {number}: {error}"
        return
    if (number, last) != (lane.number, bytes(lane.hash)):
        yield f"{lane.lane}: the journal ends at entry {number}, not at entry {lane.number} as its head says"
