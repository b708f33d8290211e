"""Operations on credit accounts and their test phones.

The one rule: what is shown of an account is what the audit counts, never a second arithmetic.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any, Final

from backend import accounts, allowances, audit, caps, demo_data, instalments
from backend.admin.operation import Answer, Progress, Refused, Steps
from backend.compose import Backend
from backend.database import transact
from backend.lenders import Lender
from backend.schema import Account

SHOWN_MAX: Final = 10_000
CHUNK: Final = 20
_FIGURES: Final = ("limit_minor", "used_minor", "held_minor", "outstanding_minor", "available_minor", "cap_minor")


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
    """The books of one account, or of all in the order of their tokens, ``limit`` at most."""
    by = chosen_lender(backend, lender).lender
    if account:
        row = find(by, account)
        return {"accounts": [to_json(row)], "total": 1, "instalments": _instalments(row), "caps": _caps(backend, row)}
    mine = Account.lender == by
    total: int = Account.select().where(mine).count()
    shown: list[Answer] = []
    after = b""
    while len(shown) < limit:
        page = list(Account.select().where(mine, Account.token > after).order_by(Account.token).limit(CHUNK))
        if not page:
            break
        shown += [to_json(row) for row in page]
        after = bytes(page[-1].token)
        yield Progress(len(shown), min(total, limit), "accounts")
    return {"accounts": shown[:limit], "total": total}


def set_limit(backend: Backend, *, account: str, limit_minor: int, lender: str | None = None) -> Answer:
    """A new limit. Below what is promised already it leaves the account above it, and its leases are called back."""
    if not 0 <= limit_minor < 2**53:
        raise Refused("a limit is at least 0 and below 2^53 minor units")
    by = chosen_lender(backend, lender).lender

    def work() -> Answer:
        row = find(by, account)
        promised = sum(allowances.outstanding_by_lane(row.lender, bytes(row.token)).values())
        accounts.set_limit(row, limit_minor, outstanding_minor=promised)
        return to_json(row)

    return transact(backend.database, work)


def block(backend: Backend, *, account: str, lift: bool = False, lender: str | None = None) -> Answer:
    """Decline the account online from now on, and at a lane from its next layer on; or end that."""
    by = chosen_lender(backend, lender).lender

    def work() -> Answer:
        row = find(by, account)
        accounts.set_blocked(row, not lift)
        return to_json(row)

    return transact(backend.database, work)


def repay(backend: Backend, *, account: str, amount_minor: int, lender: str | None = None) -> Answer:
    """The customer pays debt back: used falls, available rises."""
    by = chosen_lender(backend, lender).lender

    def work() -> Answer:
        row = find(by, account)
        accounts.repay(row, amount_minor)
        return to_json(row)

    return transact(backend.database, work)


def phone(backend: Backend, *, account: str, lender: str | None = None, cap_minor: int = 0, tier: int = 1) -> Answer:
    """A test phone with a new key and credential, whether or not the lender knows the account."""
    by = chosen_lender(backend, lender)
    return {"account": account, "phone": _phone(backend, by, token_of(account), cap_minor, tier)}


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


def chosen_lender(backend: Backend, lender: str | None) -> Lender:
    """The lender that was named, or the only one. Raises Refused, Problem("lender_unknown")."""
    known = backend.lenders
    if lender is None and len(known) != 1:
        raise Refused(f"there are {len(known)} lenders here, name one by --lender: {', '.join(known)}")
    return backend.lender(next(iter(known)) if lender is None else lender)


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
