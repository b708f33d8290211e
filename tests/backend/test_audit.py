"""The audit finds what it is for: every way in which the books could break their promises, planted by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from backend import accounts, audit
from backend.accounts import AccountContended, AccountRefused
from backend.schema import Account, Hold, Journal, JournalEntry
from tests.backend.lanes import LENDER, Shop

Planted = Callable[[], Any]

DAMAGE: list[Any] = [
    pytest.param(lambda: Account.update(limit_minor=50).execute(), "100 promised, the limit is 50", id="limit"),
    pytest.param(lambda: Account.update(held_minor=59).execute(), "holds add up to 60, the account says 59", id="held"),
    pytest.param(lambda: Hold.update(state="captured").execute(), "has ended still holds", id="ended hold"),
    pytest.param(lambda: Account.update(used_minor=-1).execute(), "must not be negative", id="negative"),
    pytest.param(
        lambda: JournalEntry.delete().where(JournalEntry.number == 2).execute(), "chain after entry 1", id="gap"
    ),
    pytest.param(lambda: JournalEntry.delete().where(JournalEntry.number == 3).execute(), "ends at entry 2", id="tail"),
    pytest.param(lambda: Journal.update(hash=bytes(32)).execute(), "not at entry 3", id="head"),
    pytest.param(
        lambda: (
            JournalEntry.update(data=JournalEntry.get(JournalEntry.number == 1).data)
            .where(JournalEntry.number == 2)
            .execute()
        ),
        "does not chain",
        id="altered entry",
    ),
]


@pytest.fixture
def sold(books: str) -> Any:
    shop = Shop.open(books, 100, allowance_minor=100, lanes="A")
    shop.cut("A")
    lane = shop.lanes["A"]
    lane.install()
    lane.stand_in(60)
    lane.write("print", {"job_id": 1, "rung": "confirmed", "copy": False})
    assert lane.upload() == ["accepted"] * 3
    assert shop.findings() == []
    yield shop
    shop.close()


@pytest.mark.parametrize(("plant", "finding"), DAMAGE)
def test_damaged_books_are_found(sold: Shop, plant: Planted, finding: str) -> None:
    plant()
    assert any(finding in line for line in sold.findings()), sold.findings()


def test_a_limit_that_was_cut_is_no_finding(sold: Shop) -> None:
    account = accounts.find(LENDER, sold.token)
    assert account is not None
    accounts.set_limit(account, 50, outstanding_minor=40)
    assert sold.findings() == []
    assert sold.account().available_minor == -50


def test_disputes_say_what_how_much_and_who_bears_it(sold: Shop) -> None:
    sold.lanes["A"].stand_in(50)
    sold.lanes["A"].upload()
    assert list(audit.disputes()) == ["A 1/4: lease_excess, 10 minor, borne by lender"]


def test_figures_change_by_compare_and_set(sold: Shop) -> None:
    mine, theirs = accounts.find(LENDER, sold.token), accounts.find(LENDER, sold.token)
    assert mine is not None and theirs is not None
    accounts.move(theirs, held_minor=1)
    with pytest.raises(AccountContended):
        accounts.move(mine, held_minor=1)
    accounts.move(theirs, held_minor=-1)


def test_held_and_used_never_fall_below_zero(sold: Shop) -> None:
    account = accounts.find(LENDER, sold.token)
    assert account is not None
    with pytest.raises(AssertionError):
        accounts.move(account, held_minor=-61)


@pytest.mark.parametrize(("token", "limit_minor"), [(bytes(15), 1), (bytes(16), -1), (bytes(16), 2**53)])
def test_an_account_outside_the_ranges_is_not_opened(sold: Shop, token: bytes, limit_minor: int) -> None:
    with pytest.raises(AccountRefused):
        accounts.add(LENDER, token, limit_minor)


def test_an_account_is_opened_once(sold: Shop) -> None:
    with pytest.raises(AccountRefused, match="exists already"):
        accounts.add(LENDER, sold.token, 1)
