"""Holds: where the money of an attempt is, from the online answer to capture or reversal.

The one rule: money moves between available, outstanding, held and used of one account, and no move raises their sum
above the limit. What an attempt cannot be given is returned as excess, never posted (lease rule 10).
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.core import leases
from agent.core.authorization import APPROVED, HoldState
from backend import accounts, allowances
from backend import page as pages
from backend.database import compiled, fetch, inserting, load, put, selecting
from backend.schema import Account, Hold, OnlineAnswer

TOMBSTONE = b""
"""Request hash of an answer that stands for any request: the lane has decided this attempt without us."""


# Compiled once: these are on the path of every sale and every entry.
FIND = selecting(Hold, Hold.lane == "", Hold.lender == "", Hold.sale_id == "", Hold.attempt == 0)
_SAVE = inserting(Hold, "REPLACE")
_BURY = inserting(OnlineAnswer, "IGNORE")
OTHERS = compiled(
    Hold.select(Hold.attempt, Hold.state, Hold.online_minor).where(
        Hold.lane == "", Hold.lender == "", Hold.sale_id == "", Hold.attempt != 0
    )
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The key of everything that concerns one attempt of a sale (lease rule 7)."""

    lane: str
    lender: str
    sale_id: str
    attempt: int

    def __str__(self) -> str:
        return f"{self.lane}/{self.sale_id}/{self.attempt}"


def find(key: Attempt) -> Hold:
    """The hold of the attempt; a new one in state none, not stored yet, if there is none."""
    hold = load(Hold, FIND, key.lane, key.lender, key.sale_id, key.attempt) or Hold(
        lane=key.lane, lender=key.lender, sale_id=key.sale_id, attempt=key.attempt, state=HoldState.NONE
    )
    page = pages.current()
    if page is not None:
        page.rows[Hold, (key.lane, key.lender, key.sale_id, key.attempt)] = hold
        page.notes.setdefault((Hold, key.lane, key.lender, key.sale_id), {})[key.attempt] = hold
    return hold


def save(hold: Hold) -> None:
    put(Hold, _SAVE, hold.__data__)


def is_sold_otherwise(key: Attempt) -> bool:
    """Lease rule 7: whether another attempt of the same sale stands approved in the lane's journal."""
    return any(state in APPROVED for state, _ in _others(key))


def is_open_otherwise(key: Attempt) -> bool:
    """Whether another attempt of the same sale was approved, by the lane's journal or by an answer that it has yet to
    confirm."""
    return any(state in APPROVED or online_minor for state, online_minor in _others(key))


def _others(key: Attempt) -> list[tuple[str, int]]:
    """State of the sale's other attempts, and what an unconfirmed online answer holds for them."""
    found = fetch(OTHERS, key.lane, key.lender, key.sale_id, key.attempt)
    others = {attempt: (state, online_minor) for attempt, state, online_minor in found}
    page = pages.current()
    if page is not None:
        here = page.notes.get((Hold, key.lane, key.lender, key.sale_id), {})
        others |= {n: (hold.state, hold.online_minor or 0) for n, hold in here.items() if n != key.attempt}
    return list(others.values())


def hold_online(
    hold: Hold, account: Account, amount_minor: int, debit_minor: int, *, epoch: int
) -> leases.OnlineFunding:
    """Lease rule 5: hold the amount of an online sale if what is available and the lane's debit, of its lease of
    ``epoch``, pay for it."""
    assert pages.current() is None, "what is reserved here would not be looked for on a page"
    outstanding = allowances.outstanding_at(hold.lane, epoch, account.lender, account.token)
    funding = leases.fund_online(
        amount_minor,
        # After a cut the account stands above its limit; a sale paid by its lease alone does not raise that.
        available_minor=max(0, allowances.available(account)),
        debit_minor=debit_minor,
        outstanding_minor=outstanding,
    )
    if funding.approved:
        accounts.move(account, held_minor=amount_minor, cause=cause(hold))
        hold.account, hold.amount_minor, hold.held_minor = account.token, amount_minor, amount_minor
        hold.online_minor, hold.online_use_minor = amount_minor, funding.from_lease_minor
        hold.lease_epoch = epoch
        save(hold)
    return funding


def undo_online(hold: Hold) -> int:
    """Take back what an unconfirmed online answer holds; its part of the lease is outstanding again."""
    undone: int = hold.online_minor
    if undone:
        account = _account(hold)
        hold.online_minor = hold.online_use_minor = hold.held_minor = 0
        save(hold)
        accounts.move(account, held_minor=-undone, cause=cause(hold))
    return undone


def approve(
    hold: Hold,
    account: Account,
    amount_minor: int,
    delta_minor: int,
    *,
    epoch: int,
    answered_minor: int,
    above_minor: int,
) -> int:
    """Hold what the lane's journal says it approved; returns the excess that nothing covers.

    ``delta_minor`` is what the lane took of its lease of ``epoch``. ``answered_minor`` is what this backend's own
    answer to this very attempt held of this account, just gone back to available: what the lease does not cover (any
    more) may come from there, and from nowhere else. A lane's word alone never spends available credit.
    ``above_minor``: so far the account stood above its limit before that went back. It may stand there again, because
    a cut of the limit takes back no answer that was given before; further up it never comes.
    """
    outstanding = allowances.outstanding_at(hold.lane, epoch, account.lender, account.token)
    posted = leases.post_spend(delta_minor, outstanding).posted_minor
    free = min(answered_minor, max(0, allowances.available(account) + above_minor)) if answered_minor else 0
    held = posted + min(amount_minor - posted, free)
    spent = min(delta_minor, held)
    allowances.spend(hold.lane, epoch, account.lender, account.token, spent)
    accounts.move(account, held_minor=held, cause=cause(hold))
    hold.account, hold.amount_minor, hold.held_minor = account.token, amount_minor, held
    hold.lease_minor, hold.lease_epoch = spent, epoch
    return amount_minor - held


def capture(hold: Hold, amount_minor: int, restored_minor: int, *, final: bool) -> int:
    """Turn some of the hold into debt; a final capture releases the rest, and what the lane says it put back of that
    into its lease goes there, as far as it was held.

    Returns what could not be restored.
    """
    debt = min(amount_minor, hold.held_minor)
    hold.uncovered_minor += amount_minor - debt
    return _release(hold, debt, restored_minor, released_minor=hold.held_minor - debt if final else 0)


def release(hold: Hold, restored_minor: int = 0) -> int:
    """End what is still held (lease rule 9): into the lane's lease what the lane put there, the rest is available."""
    return _release(hold, 0, restored_minor, released_minor=hold.held_minor)


def captured(hold: Hold) -> int:
    """What was captured in all, whoever pays for it."""
    captured_minor: int = hold.captured_minor + hold.uncovered_minor
    return captured_minor


def given_back(hold: Hold) -> int:
    """What of that was given back in all."""
    given_minor: int = hold.refunded_minor + hold.uncovered_refunded_minor
    return given_minor


def refundable(hold: Hold) -> int:
    """What was captured, not given back, and is not set aside for a refund under way."""
    left: int = captured(hold) - given_back(hold) - hold.reserved_minor
    return left


def refund(hold: Hold, amount_minor: int) -> int:
    """Give back what was captured, at most what is left of it; returns the excess. What no credit had covered is no
    debt, so its refund moves no money of the account.

    What is set aside for another lane is no hindrance: this money has gone back already, and that may yet end in
    nothing.
    """
    refunded = min(amount_minor, captured(hold) - given_back(hold))
    less_debt = min(refunded, hold.captured_minor - hold.refunded_minor)
    if less_debt:
        accounts.refund(_account(hold), less_debt, f"refund {cause(hold)}")
    hold.refunded_minor += less_debt
    hold.uncovered_refunded_minor += refunded - less_debt
    if refunded:
        save(hold)
    return amount_minor - refunded


def bury(key: Attempt, answer: bytes) -> None:
    """Leave a tombstone: a request for this attempt that arrives from now on gets ``answer`` (lease rule 6)."""
    name = {"lane": key.lane, "lender": key.lender, "sale_id": key.sale_id, "attempt": key.attempt}
    put(OnlineAnswer, _BURY, name | {"request_hash": TOMBSTONE, "answer": answer})


def _release(hold: Hold, debt_minor: int, restored_minor: int, *, released_minor: int) -> int:
    restorable = min(restored_minor, hold.lease_minor, released_minor)
    if debt_minor or released_minor:
        account = _account(hold)
        accounts.move(account, held_minor=-debt_minor - released_minor, used_minor=debt_minor, cause=cause(hold))
        allowances.spend(hold.lane, hold.lease_epoch, hold.lender, account.token, -restorable)
    hold.lease_minor -= restorable
    hold.held_minor -= debt_minor + released_minor
    hold.captured_minor += debt_minor
    return restored_minor - restorable


def cause(hold: Hold) -> str:
    """What the postings of a sale name as their cause; those of its refunds with a word before it."""
    return str(Attempt(hold.lane, hold.lender, hold.sale_id, hold.attempt))


def _account(hold: Hold) -> Account:
    account = accounts.find(hold.lender, hold.account or b"")
    assert account is not None, "a hold that moved money has an account, and accounts are never deleted"
    return account
