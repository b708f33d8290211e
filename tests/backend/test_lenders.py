"""Several lenders at one backend: each with its own keys, policy and accounts, for the lanes that it serves."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agent.core.cose import SigningKey
from agent.core.introduction import read_introduction
from backend.admin.operation import Refused, perform
from backend.admin.table import OPERATIONS
from backend.identity import LaneName
from backend.problems import Problem
from backend.wire import from_b64url
from tests.backend.lanes import AUTHORITY, LENDER, Shop

OTHER = "otherlend"


@pytest.fixture
def shop(books: str) -> Iterator[Shop]:
    opened = Shop.open(books, 100, allowance_minor=100, lanes="A")
    yield opened
    assert opened.findings() == []
    opened.close()


def do(shop: Shop, operation: str, **params: Any) -> dict[str, Any]:
    shop.clock.now_s += 1  # what is in force is looked at once a second
    *_, last = perform(OPERATIONS, shop.backend, operation, params)
    shop.clock.now_s += 1
    return dict(last["answer"])


def add(shop: Shop, **more: Any) -> dict[str, Any]:
    return do(shop, "lender.add", lender=OTHER, name="Other Lend", currency="CNY", **more)


def at(merchant: str) -> LaneName:
    return LaneName("A", merchant, "store-1")


def introduced(shop: Shop, merchant: str) -> list[str]:
    rows = json.loads(shop.backend.introductions(at(merchant)))["lenders"]
    ca = SigningKey.from_pem(AUTHORITY.key_pem).public
    return [read_introduction(from_b64url(row["introduction"]), ca).lender for row in rows]


def test_a_lender_that_is_added_shares_nothing_but_the_lanes(shop: Shop) -> None:
    assert add(shop)["accounts"] == 0
    one, other = shop.backend.lenders[LENDER], shop.backend.lenders[OTHER]
    assert not {key.public.kid for key in one.keys.values()} & {key.public.kid for key in other.keys.values()}
    assert [row["lender"] for row in do(shop, "lender.list")["lenders"]] == sorted([LENDER, OTHER])
    assert introduced(shop, "merchant-1") == sorted([LENDER, OTHER])


def test_the_lanes_get_layers_of_every_lender_that_serves_them(shop: Shop) -> None:
    add(shop)
    shop.backend.refresh_snapshots()
    assert [shop.backend.snapshot(lender, at("merchant-1"))[-1].sequence for lender in (LENDER, OTHER)] == [1, 1]


def test_a_lender_of_other_merchants_is_none_of_this_lane(shop: Shop) -> None:
    add(shop, merchants=["merchant-2"])
    shop.backend.refresh_snapshots()
    assert introduced(shop, "merchant-1") == [LENDER]
    assert introduced(shop, "merchant-2") == sorted([LENDER, OTHER])
    for question in (
        lambda: shop.backend.lender_at(OTHER, "merchant-1"),
        lambda: shop.backend.snapshot(OTHER, at("merchant-1")),
    ):
        with pytest.raises(Problem, match="does not serve merchant-1"):
            question()


def test_a_lender_may_come_to_a_merchant_later_and_leave_again(shop: Shop) -> None:
    add(shop, merchants=["merchant-2"])
    assert do(shop, "lender.merchants", lender=OTHER, merchants=[])["merchants"] == "all"
    assert shop.backend.lender_at(OTHER, "merchant-1").lender == OTHER
    do(shop, "lender.merchants", lender=OTHER, merchants=["merchant-3"])
    assert introduced(shop, "merchant-1") == [LENDER]


WRONG = {
    "it is there already": {"lender": LENDER},
    "the id is none": {"lender": "with a space"},
    "the currency is none": {"currency": "yuan"},
    "the merchant is none": {"merchants": ["with a space"]},
}


@pytest.mark.parametrize("why", WRONG)
def test_none_is_added_when(shop: Shop, why: str) -> None:
    with pytest.raises(Refused):
        do(shop, "lender.add", **({"lender": OTHER, "name": "Other Lend", "currency": "CNY"} | WRONG[why]))
    assert list(shop.backend.lenders) == [LENDER]
