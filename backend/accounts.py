"""Accounts: limit, used, held. Debts and holds of one account, and nothing of another.

The one rule: the figures of an account change by compare and set on its revision, one account at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

from backend.database import Contended, change, compiled, load, selecting
from backend.schema import Account

# Compiled once: these two are on the path of every sale and every entry.
_FIND = selecting(Account, Account.token == b"", Account.lender == "")
_MOVE = compiled(
    Account.update(used_minor=0, held_minor=0, revision=0, edition=Account.edition + 1).where(
        Account.token == b"", Account.lender == "", Account.revision == 0
    )
)
_GUARD = compiled(Account.update(revision=0).where(Account.token == b"", Account.lender == "", Account.revision == 0))


class AccountContended(Contended):
    """Somebody else changed the account since it was read; read again and decide again."""


class AccountRefused(Exception):
    """An account cannot be opened or changed as asked; the message is a sentence."""


def find(lender: str, token: bytes) -> Account | None:
    """The account as it is now; None if the lender has none by this token (16 bytes)."""
    return load(Account, _FIND, token, lender)


def every(lender: str) -> Iterator[Account]:
    """All accounts of a lender in the order of their tokens."""
    query = Account.select().where(Account.lender == lender).order_by(Account.token)
    return iter(query.iterator())


def add(lender: str, token: bytes, limit_minor: int, *, tier: int = 1, step_up: bool = False) -> Account:
    """Open an account. Raises AccountRefused if it is there already, or the limit or the token is out of range."""
    if len(token) != 16 or not 0 <= limit_minor < 2**53:
        raise AccountRefused("an account token has 16 bytes, and a limit is at least 0 and below 2^53 minor units")
    if find(lender, token) is not None:
        raise AccountRefused(f"the account {token.hex()} exists already")
    return Account.create(lender=lender, token=token, limit_minor=limit_minor, tier=tier, step_up=step_up)


def move(account: Account, *, held_minor: int = 0, used_minor: int = 0) -> None:
    """Add to held and used (minor units, negative to take away). Raises AccountContended.

    A figure below zero would be a bug of this program, so it is an assertion and not a refusal.
    """
    held, used = account.held_minor + held_minor, account.used_minor + used_minor
    assert held >= 0 and used >= 0, f"account {account.token.hex()} would hold {held} and use {used}"
    seen = account.revision
    if change(_MOVE, used, held, seen + 1, 1, account.token, account.lender, seen) != 1:
        raise AccountContended(account.token.hex())
    account.used_minor, account.held_minor, account.revision = used, held, seen + 1
    account.edition += 1


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
