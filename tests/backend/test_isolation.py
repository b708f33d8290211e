"""Transactions that meet on PostgreSQL: the level that is stated is needed, and it is enough.

The interleaving: a lane's intent is posted while an online answer for the same attempt is given. Both find no hold;
the answer writes one with the money, the intent one without.
"""

import threading
from collections.abc import Iterator

import pytest

from backend import accounts, holds, postgres
from backend.database import close, transact
from backend.holds import Attempt
from tests.backend.books import postgres as server
from tests.backend.lanes import LENDER, Shop

KEY = Attempt("A", LENDER, "sale-0001", 1)
WAIT_S = 120


@pytest.fixture
def shop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(postgres, "ISOLATION", request.param)
    opened = Shop.open(server().new_database(), 1_000, lanes="A")
    yield opened
    opened.close()


def _meet(shop: Shop) -> None:
    database = shop.backend.database
    has_read, may_write = threading.Event(), threading.Event()

    def intend() -> None:
        hold = holds.find(KEY)
        has_read.set()
        may_write.wait(WAIT_S)
        hold.state = "intended"
        holds.save(hold)

    def post() -> None:
        transact(database, intend)
        close(database)

    def answer() -> None:
        account = accounts.find(LENDER, shop.token)
        assert account is not None
        holds.hold_online(holds.find(KEY), account, 100, 0, epoch=1)

    posting = threading.Thread(target=post)
    posting.start()
    assert has_read.wait(WAIT_S)
    transact(database, answer)
    may_write.set()
    posting.join(WAIT_S)


@pytest.mark.parametrize("shop", [postgres.ISOLATION], indirect=True)
def test_an_answer_and_an_intent_that_meet_are_one_hold(shop: Shop) -> None:
    _meet(shop)
    assert shop.findings() == []
    hold = holds.find(KEY)
    assert (hold.state, hold.held_minor, shop.account().held_minor) == ("intended", 100, 100)


@pytest.mark.parametrize("shop", ["READ COMMITTED"], indirect=True)
def test_at_a_lower_level_the_money_of_the_answer_belongs_to_no_hold(shop: Shop) -> None:
    """Negative control: without the level the test above would find this."""
    _meet(shop)
    assert any("holds add up to 0, the account says 100" in finding for finding in shop.findings())


@pytest.mark.parametrize("shop", [postgres.ISOLATION], indirect=True)
def test_a_statement_that_the_server_never_prepared_begins_the_transaction_anew(shop: Shop) -> None:
    database, calls = shop.backend.database, []

    def work() -> str:
        calls.append(len(calls))
        if len(calls) == 1:
            database.execute_sql("EXECUTE never_prepared")
        return "done"

    assert transact(database, work) == "done"
    assert calls == [0, 1]
