"""Operations that look after the whole: the audit, and the cutting of layers.

The one rule: an audit walks account by account and journal by journal, each as it is at one moment, so that lanes sell
while it runs. Nothing is corrected here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

from backend import accounts, audit, lanes
from backend.admin.operation import Progress, Steps
from backend.compose import Backend
from backend.database import rows, transact
from backend.schema import Account, Journal

PAGE: Final = 500
STEP: Final = 10


def run_audit(backend: Backend) -> Steps:
    """Every broken promise in a sentence, and what people must look at."""
    found: list[str] = []
    for lender in backend.lenders:
        found += yield from _accounts(backend, lender)
    journals = rows(Journal.select(Journal.lane, Journal.epoch).order_by(Journal.lane, Journal.epoch))
    for done, (lane, epoch) in enumerate(journals):
        yield Progress(done, len(journals), "journals")
        found += audit.of_journal(lanes.journal(lane, epoch))
    return {"findings": found, "disputes": list(audit.disputes())}


def build_snapshots(backend: Backend) -> Steps:
    """Cut the layers that lanes need now."""
    layers, total = 0, len(list(lanes.in_service())) * len(backend.lenders)
    for done, cut in enumerate(backend.refreshing()):
        layers += cut
        yield Progress(done, total, "lanes")
    return {"layers": layers}


def _accounts(backend: Backend, lender: str) -> Generator[Progress, None, list[str]]:
    found: list[str] = []
    total = Account.select().where(Account.lender == lender).count()
    for done, token in enumerate(_tokens(lender)):
        if done % STEP == 0:
            yield Progress(done, total, "accounts")
        found += _findings(backend, lender, token)
    return found


def _findings(backend: Backend, lender: str, token: bytes) -> list[str]:
    def work() -> list[str]:
        row = accounts.find(lender, token)
        return list(audit.of_account(row)) if row is not None else []

    return transact(backend.database, work)


def _tokens(lender: str) -> Iterator[bytes]:
    """All accounts, a page at a time: nothing stays open while lanes are answered."""
    after = b""
    while page := rows(
        Account.select(Account.token)
        .where(Account.lender == lender, Account.token > after)
        .order_by(Account.token)
        .limit(PAGE)
    ):
        for (token,) in page:
            after = bytes(token)
            yield after
