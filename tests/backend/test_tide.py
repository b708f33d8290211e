"""Books on a server that are put back while a backend runs on them."""

from collections.abc import Callable, Iterator

import pytest

from backend import accounts, recovery
from backend.database import FAULTS
from backend.problems import Problem
from backend.schema import Account
from tests.backend.books import postgres
from tests.backend.lanes import LENDER, Shop


@pytest.fixture
def place() -> str:
    return postgres().new_database()


@pytest.fixture
def shop(place: str) -> Iterator[Shop]:
    opened = Shop.open(place, 100_000)
    opened.backend.notice_put_back()
    yield opened
    opened.close()


def sells(shop: Shop) -> bool:
    lane = shop.lanes["A"]
    sale = lane.intend(100)
    return bool(lane.ask(lane.request(100, sale))["approved"])


def test_a_database_that_is_put_back_under_a_server_stops_its_sales_before_the_first_one(
    shop: Shop, place: str
) -> None:
    shop.close()
    copy = postgres().copied(place)
    assert sells(shop) and not shop.backend.notice_put_back()
    postgres().put_back(place, copy)
    with pytest.raises(FAULTS):
        sells(shop)  # the connection is gone
    with pytest.raises(Problem, match="recovering"):
        sells(shop)
    assert recovery.begun_by() == (None, "books_put_back")
    assert shop.backend.refresh_snapshots() == 0, "nobody was heard since"
    assert not shop.backend.notice_put_back(), "it is noticed once"


def refreshes(shop: Shop) -> int:
    return shop.backend.refresh_snapshots()


def grants_more(shop: Shop) -> int:
    shop.backend.asked.add(("A", LENDER))
    return sum(shop.backend.granting_more())


@pytest.mark.parametrize("grants", [refreshes, grants_more])
def test_a_database_that_is_put_back_under_a_server_grants_nothing_before_its_lanes_are_heard(
    shop: Shop, place: str, grants: Callable[[Shop], int]
) -> None:
    """What was granted since the backup is forgotten, so that another layer would grant it again."""
    assert shop.refresh("A") is not None
    accounts.touch(Account.get())
    shop.close()
    copy = postgres().copied(place)
    assert not shop.backend.notice_put_back() and shop.refresh("A") is not None
    postgres().put_back(place, copy)
    with pytest.raises(FAULTS):
        grants(shop)  # the connection is gone
    assert grants(shop) == 0
    assert recovery.begun_by() == (None, "books_put_back")


def test_books_that_go_back_behind_an_open_connection_are_noticed_by_their_count(shop: Shop) -> None:
    for _ in range(3):
        shop.backend.notice_put_back()
    shop.backend.database.execute_sql("UPDATE tide SET count = count - 2")
    assert shop.backend.notice_put_back()
    with pytest.raises(Problem, match="recovering"):
        sells(shop)


def test_a_lost_connection_alone_is_no_restore(shop: Shop) -> None:
    shop.backend.database.close()
    assert sells(shop)
    assert recovery.started_at() is None
