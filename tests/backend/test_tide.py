"""Books on a server that are put back while a backend runs on them."""

from collections.abc import Iterator

import pytest

from backend import recovery
from backend.database import FAULTS
from backend.problems import Problem
from tests.backend.books import postgres
from tests.backend.lanes import Shop


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
