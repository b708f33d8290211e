"""What operators name: an account, and the lender that it is of.

The one rule: a lender need not be named where there is only one that can be meant, and a refusal lists those that can.
"""

from __future__ import annotations

from backend import accounts
from backend.admin.operation import Refused
from backend.compose import Backend
from backend.lenders import Lender
from backend.schema import Account


def chosen_lender(backend: Backend, lender: str | None) -> Lender:
    """The lender that was named, or the only one. Raises Refused, Problem("lender_unknown")."""
    return _one_of(backend, list(backend.lenders), lender, "there are {count} lenders here")


def lender_with(backend: Backend, account: str, lender: str | None) -> Lender:
    """The lender that was named, or the only one that has the account. Raises Refused, Problem("lender_unknown")."""
    token = token_of(account)
    having = [known for known in backend.lenders if accounts.find(known, token) is not None]
    if not having:
        return chosen_lender(backend, lender)
    return _one_of(backend, having, lender, "{count} lenders have this account")


def lenders_meant(backend: Backend, lender: str | None) -> list[str]:
    """The lender that was named, or all of them. Raises Problem("lender_unknown")."""
    return list(backend.lenders) if lender is None else [backend.lender(lender).lender]


def find(lender: str, account: str) -> Account:
    """Raises Refused."""
    row = accounts.find(lender, token_of(account))
    if row is None:
        raise Refused(f"the lender {lender} has no account {account}")
    return row


def token_of(text: str) -> bytes:
    """16 bytes from hex. Raises Refused."""
    try:
        token = bytes.fromhex(text)
    except ValueError:
        token = b""
    if len(token) != 16:
        raise Refused("an account token is 16 bytes: 32 hexadecimal digits")
    return token


def _one_of(backend: Backend, possible: list[str], lender: str | None, why: str) -> Lender:
    if lender is None and len(possible) != 1:
        raise Refused(f"{why.format(count=len(possible))}, name one by --lender: {', '.join(possible)}")
    return backend.lender(possible[0] if lender is None else lender)
