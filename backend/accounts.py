"""Accounts: limit, used, held, fees. Debts and holds of one account, and nothing of another.

The one rule: the figures of an account are the fold of its postings, each from one side to another, and change with
them by compare and set on its revision, one account at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from backend import page as pages
from backend.database import Contended, change, compiled, inserting, load, put, selecting
from backend.schema import Account, Posting


class Side(StrEnum):
    """Where an account's money is, or goes to. The balance of a side is its debits less its credits."""

    AVAILABLE = "available"  # minus what is held: the limit is a promise, not money
    HELD = "held"
    USED = "used"  # the customer's debt, the lender's receivable
    MERCHANT = "merchant"  # the lender's debt to merchants
    REPAID = "repaid"  # what customers have paid
    OWED = "owed"  # refunds of what had been repaid: the lender's debt to the customer
    FEE = "fee"  # what the customer owes for instalments, outside of the limit: the lender's receivable
    MERCHANT_FEE = "merchant_fee"  # what the merchant bears of it: taken from what it is paid
    COUPON = "coupon"  # what the lender bears itself
    FEE_INCOME = "fee_income"  # the other half of these three


class Movement(NamedTuple):
    """``minor`` (>= 0) units from ``credit`` to ``debit``."""

    debit: Side
    credit: Side
    minor: int


# Compiled once: these two are on the path of every sale and every entry.
FIND = selecting(Account, Account.token == b"", Account.lender == "")
_MOVE = compiled(
    Account.update(used_minor=0, held_minor=0, fee_minor=0, revision=0, edition=Account.edition + 1).where(
        Account.token == b"", Account.lender == "", Account.revision == 0
    )
)
_GUARD = compiled(Account.update(revision=0).where(Account.token == b"", Account.lender == "", Account.revision == 0))
_POST: Final = inserting(Posting)


class _Figures(NamedTuple):
    """What an account's row says of its sides."""

    used_minor: int
    held_minor: int
    fee_minor: int


class AccountContended(Contended):
    """Somebody else changed the account since it was read; read again and decide again."""


class AccountRefused(Exception):
    """An account cannot be opened or changed as asked; the message is a sentence."""


def find(lender: str, token: bytes) -> Account | None:
    """The account as it is now; None if the lender has none by this token (16 bytes)."""
    return load(Account, FIND, token, lender)


def every(lender: str) -> Iterator[Account]:
    """All accounts of a lender in the order of their tokens."""
    query = Account.select().where(Account.lender == lender).order_by(Account.token)
    return iter(query.iterator())


def add(
    lender: str, token: bytes, limit_minor: int, *, tier: int = 1, step_up: bool = False, purpose_bound: bool = False
) -> Account:
    """Open an account. Raises AccountRefused if it is there already, or the limit or the token is out of range."""
    if len(token) != 16 or not 0 <= limit_minor < 2**53:
        raise AccountRefused("an account token has 16 bytes, and a limit is at least 0 and below 2^53 minor units")
    if find(lender, token) is not None:
        raise AccountRefused(f"the account {token.hex()} exists already")
    flags = {"step_up": step_up, "purpose_bound": purpose_bound}
    return Account.create(lender=lender, token=token, limit_minor=limit_minor, tier=tier, **flags)


def move(account: Account, *, held_minor: int = 0, used_minor: int = 0, cause: str = "") -> None:
    """Add to held (minor units, negative to take away) and to used. Raises AccountContended."""
    post(
        account,
        Movement(Side.HELD, Side.AVAILABLE, max(0, held_minor)),
        Movement(Side.AVAILABLE, Side.HELD, max(0, -held_minor)),
        Movement(Side.USED, Side.MERCHANT, used_minor),
        cause=cause,
    )


def repay(account: Account, minor: int, fee_minor: int = 0) -> None:
    """The customer pays debt, fees of instalments, or both. Raises AccountContended, and AccountRefused if it is more
    than there is."""
    if not (0 <= minor <= account.used_minor and 0 <= fee_minor <= account.fee_minor and minor + fee_minor):
        owed = f"the debt of {account.used_minor} and the fees of {account.fee_minor} minor units"
        raise AccountRefused(f"a repayment is at least 1 and at most {owed}")
    parts = Movement(Side.REPAID, Side.USED, minor), Movement(Side.REPAID, Side.FEE, fee_minor)
    post(account, *parts, cause="repayment")


def refund(account: Account, minor: int, cause: str) -> None:
    """A merchant gives back what was captured: less debt, and what was repaid already is owed to the customer."""
    less_debt = min(minor, account.used_minor)
    owed = Movement(Side.MERCHANT, Side.OWED, minor - less_debt)
    post(account, Movement(Side.MERCHANT, Side.USED, less_debt), owed, cause=cause)


def charge_fees(account: Account, parts: Mapping[Side, int], cause: str) -> None:
    """Fees of instalments, by who bears them (FEE, MERCHANT_FEE, COUPON). Raises AccountContended."""
    post(account, *(Movement(side, Side.FEE_INCOME, minor) for side, minor in parts.items()), cause=cause)


def give_fees_back(account: Account, parts: Mapping[Side, int], cause: str) -> None:
    """Those of them that go back; what the customer has paid of them is owed to the customer. Raises
    AccountContended."""
    owed = max(0, parts[Side.FEE] - account.fee_minor)
    back = {**parts, Side.FEE: parts[Side.FEE] - owed, Side.OWED: owed}
    post(account, *(Movement(Side.FEE_INCOME, side, minor) for side, minor in back.items()), cause=cause)


def post(account: Account, *movements: Movement, cause: str) -> None:
    """Move money between the sides of one account and write down each movement. Raises AccountContended.

    A figure below zero would be a bug of this program, so it is an assertion and not a refusal.
    """
    figures = _Figures(
        account.used_minor + _change_of(Side.USED, movements),
        account.held_minor + _change_of(Side.HELD, movements),
        account.fee_minor + _change_of(Side.FEE, movements),
    )
    assert min(figures) >= 0, f"account {account.token.hex()} would come to {figures}"
    seen = account.revision
    _move(account, figures)
    for debit, credit, minor in movements:
        if minor:
            row = {"account": account.token, "lender": account.lender, "revision": seen + 1, "minor": minor}
            put(Posting, _POST, row | {"debit": str(debit), "credit": str(credit), "cause": cause})


def _move(account: Account, figures: _Figures) -> None:
    """Compare and set; on a page once for all that happens to the account there."""
    page, revision, edition = pages.current(), account.revision, account.edition
    if page is None:
        if change(_MOVE, *figures, revision + 1, 1, account.token, account.lender, revision) != 1:
            raise AccountContended(account.token.hex())
    else:
        page.update((Account, account.lender, account.token), _MOVE, lambda: (
            account.used_minor, account.held_minor, account.fee_minor, account.revision, account.edition - edition,
            account.token, account.lender, revision,
        ), exactly=1)  # fmt: skip
    account.used_minor, account.held_minor, account.fee_minor = figures
    account.revision, account.edition = revision + 1, edition + 1


def _change_of(side: Side, movements: tuple[Movement, ...]) -> int:
    return sum(m.minor * ((m.debit is side) - (m.credit is side)) for m in movements)


def touch(account: Account) -> None:
    """Have the account in the next layer of every lane although its own figures did not change."""
    _set(account)


def guard(account: Account) -> None:
    """Make sure that nobody changed the account since it was read, without a change that lanes should hear of."""
    if change(_GUARD, account.revision + 1, account.token, account.lender, account.revision) != 1:
        raise AccountContended(account.token.hex())
    account.revision += 1


def set_blocked(account: Account, blocked: bool) -> None:
    _set(account, blocked=blocked)


def set_limit(account: Account, limit_minor: int, *, outstanding_minor: int) -> None:
    """A new limit; below what is already promised it leaves the account above it, which blocks approvals and grants."""
    promised = account.used_minor + account.held_minor + outstanding_minor
    _set(account, limit_minor=limit_minor, limit_cut=limit_minor < promised)


def _set(account: Account, **figures: int | bool) -> None:
    changed = (
        Account.update(**figures, revision=account.revision + 1, edition=account.edition + 1)
        .where(Account.token == account.token, Account.lender == account.lender, Account.revision == account.revision)
        .execute()
    )
    if changed != 1:
        raise AccountContended(account.token.hex())
    for name, value in figures.items():
        setattr(account, name, value)
    account.revision, account.edition = account.revision + 1, account.edition + 1
