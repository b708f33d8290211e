"""Operations on credit accounts and their test phones.

The one rule: what is shown of an account is what the audit counts, never a second arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from backend import accounts, allowances, audit, caps, demo_data, instalments
from backend.admin.named import chosen_lender, find, lender_with, lenders_meant, token_of
from backend.admin.operation import Answer, Progress, Refused, Steps
from backend.compose import Backend
from backend.database import transact
from backend.lenders import Lender
from backend.schema import Account

SHOWN_MAX: Final = 10_000
CHUNK: Final = 20
_FIGURES: Final = (
    "limit_minor",
    "used_minor",
    "held_minor",
    "outstanding_minor",
    "available_minor",
    "fee_minor",
    "cap_minor",
)


def add(
    backend: Backend,
    *,
    limit_minor: int,
    lender: str | None = None,
    account: str | None = None,
    count: int = 1,
    cap_minor: int = 0,
    tier: int = 1,
    purpose_bound: bool = False,
) -> Steps:
    """Open accounts, each with a test phone: its keys are in the answer and nowhere else."""
    if account and count > 1:
        raise Refused("one token is one account: leave out the token or the count")
    by = chosen_lender(backend, lender)
    opened = []
    for number in range(count):
        if number and number % CHUNK == 0:
            yield Progress(number, count, "accounts")
        token = token_of(account) if account else backend.randomness(16)
        _open(backend, by.lender, token, limit_minor, tier=tier, purpose_bound=purpose_bound)
        phone = _phone(backend, by, token, cap_minor, tier)
        opened.append({"account": token.hex(), "lender": by.lender, "limit_minor": limit_minor, "phone": phone})
    return {"accounts": opened}


def show(backend: Backend, *, account: str | None = None, lender: str | None = None, limit: int = SHOWN_MAX) -> Steps:
    """The books of one account, or of all (of one lender) in the order of their tokens: ``limit`` at most."""
    if account:
        row = find(lender_with(backend, account, lender).lender, account)
        return {"accounts": [to_json(row)], "total": 1, "instalments": _instalments(row), "caps": _caps(backend, row)}
    shown: list[Answer] = []
    total: int = Account.select().where(Account.lender << (meant := lenders_meant(backend, lender))).count()
    for page in _pages(meant):
        shown += [to_json(row) for row in page]
        yield Progress(len(shown), min(total, limit), "accounts")
        if len(shown) >= limit:
            break
    return {"accounts": shown[:limit], "total": total}


def _pages(lenders: list[str]) -> Iterator[list[Account]]:
    for lender in lenders:
        mine, after = Account.lender == lender, b""
        while page := list(Account.select().where(mine, Account.token > after).order_by(Account.token).limit(CHUNK)):
            yield page
            after = bytes(page[-1].token)


def set_limit(backend: Backend, *, account: str, limit_minor: int, lender: str | None = None) -> Answer:
    """A new limit. Below what is promised already it leaves the account above it, and its leases are called back."""
    if not 0 <= limit_minor < 2**53:
        raise Refused("a limit is at least 0 and below 2^53 minor units")
    by = lender_with(backend, account, lender).lender

    def work() -> Answer:
        row = find(by, account)
        promised = sum(allowances.outstanding_by_lane(row.lender, bytes(row.token)).values())
        accounts.set_limit(row, limit_minor, outstanding_minor=promised)
        return to_json(row)

    return transact(backend.database, work)


def block(backend: Backend, *, account: str, lift: bool = False, lender: str | None = None) -> Answer:
    """Decline the account online from now on, and at a lane from its next layer on; or end that."""
    by = lender_with(backend, account, lender).lender

    def work() -> Answer:
        row = find(by, account)
        accounts.set_blocked(row, not lift)
        return to_json(row)

    return transact(backend.database, work)


def repay(
    backend: Backend, *, account: str, amount_minor: int = 0, fee_minor: int = 0, lender: str | None = None
) -> Answer:
    """The customer pays debt back, so used falls and available rises; or fees of instalments, which lie outside."""
    by = lender_with(backend, account, lender).lender

    def work() -> Answer:
        row = find(by, account)
        accounts.repay(row, amount_minor, fee_minor)
        return to_json(row)

    return transact(backend.database, work)


def phone(backend: Backend, *, account: str, lender: str | None = None, cap_minor: int = 0, tier: int = 1) -> Answer:
    """A test phone with a new key and credential, whether or not the lender knows the account."""
    by = lender_with(backend, account, lender)
    return {"account": account, "phone": _phone(backend, by, token_of(account), cap_minor, tier)}


def to_json(row: Account) -> dict[str, Any]:
    state = audit.account_state(row)
    books = {"account": state.token.hex(), "lender": state.lender}
    return books | {
        **{name: getattr(state, name) for name in _FIGURES},
        "blocked": row.blocked,
        "purpose_bound": row.purpose_bound,
    }


def _caps(backend: Backend, row: Account) -> list[Answer]:
    """What stands at the lender's risk, store by store, in all and in the policy's window."""
    window_s = backend.lender(row.lender).policy.limits.cap_window_s
    return [asdict(each) for each in caps.by_store(row.lender, bytes(row.token), since_s=backend.clock() - window_s)]


def _instalments(row: Account) -> list[Answer]:
    """Every payment of every sale in instalments, in the order of the sales."""
    return [
        {
            "sale": sale.sale_id,
            "plan": sale.plan,
            "number": number,
            "due": payment.due.isoformat(),
            "principal_minor": payment.principal_minor,
            "fee_minor": payment.fee_minor,
            "annual_percent": said.nominal,
        }
        for sale, said in instalments.sales_of(row.lender, bytes(row.token))
        for number, payment in enumerate(said.payments, 1)
    ]


def _open(backend: Backend, lender: str, token: bytes, limit_minor: int, *, tier: int, purpose_bound: bool) -> None:
    opening = partial(accounts.add, lender, token, limit_minor, tier=tier, purpose_bound=purpose_bound)
    transact(backend.database, opening)


def _phone(backend: Backend, lender: Lender, token: bytes, cap_minor: int, tier: int) -> str:
    row = accounts.find(lender.lender, token)
    issued = demo_data.issue_phone(
        lender,
        token,
        now_s=backend.clock(),
        randomness=backend.randomness,
        cap_minor=cap_minor,
        tier=tier,
        purpose_bound=row is not None and row.purpose_bound,
    )
    return issued.to_json()
