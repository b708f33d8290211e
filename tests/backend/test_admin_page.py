"""The page shows what is in the books, runs no script, changes nothing, and answers to this machine's names only."""

import asyncio
import json
import re
from html.parser import HTMLParser

import httpx
import pytest

from agent.core.journal import GENESIS_HASH
from backend.admin.html import Markup, tag
from backend.admin.page import create_page_app
from backend.schema import Account, Dispute, Journal, Lane, Settlement
from tests.backend.lanes import LENDER, Shop

HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "&lt;b&gt;",
    "\u202egnp.exe",
    "a\x1b[2J\nb",
    "]]>",
]


def get(shop: Shop, path: str = "/", method: str = "GET", host: str = "127.0.0.1:8081") -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=create_page_app(shop.backend))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8081") as client:
            return await client.request(method, path, headers={"host": host})

    return asyncio.run(ask())


class Seen(HTMLParser):
    """The elements of a page and its text, as a browser has them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def test_lanes_leases_exceptions_and_balances_are_shown(shop: Shop) -> None:
    lane = shop.lanes["A"]
    lane.install(shop.cut("A"))
    lane.stand_in(10_500)
    lane.upload()
    shop.cut("B")
    text = Seen(get(shop).text).text
    for shown in (
        "演示信用付",
        "Lanes",
        "open",
        "lease_excess",
        "¥5.00",
        "Outstanding leases",
        "¥100.00",
        shop.token.hex(),
    ):
        assert shown in text
    assert "the lane tells of no layer yet" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_and_nothing_else(shop: Shop, name: str) -> None:
    plain = Seen(get(shop).text)
    Lane.create(lane=name, store=name, merchant=name)
    Journal.create(lane=name, epoch=1, journal_key=b"", hash=GENESIS_HASH, state=name)
    Dispute.create(
        lane=name, epoch=1, number=1, sequence=1, result=name, reason=name, bearer=name, sale_id=name, amount_minor=1
    )
    differences = [{"what": name, "number": 1, "lane": name, "backend": name, "reason": name}]
    answer = {"matched": False, "differences": differences, "totals": {"captured": {"count": 1, "minor": 1}}}
    row = {"lane": name, "lender": name, "epoch": 1, "batch": 1, "request_hash": b"", "answer": json.dumps(answer)}
    Settlement.create(**row | {"answer": row["answer"].encode()})
    page = get(shop).text
    seen = Seen(page)
    assert seen.elements <= plain.elements | {"table", "thead", "tbody", "tr", "th", "td", "span"}
    assert seen.attributes <= plain.attributes
    assert "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in name) in seen.text
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e]", page)


def test_nothing_is_fetched_run_or_framed(shop: Shop) -> None:
    answer = get(shop)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    seen = Seen(answer.text)
    assert not seen.elements & {"script", "form", "a", "img", "link", "iframe", "input", "button"}
    assert not seen.attributes & {"style", "src", "href"}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "localhost.", ":127.0.0.1", "", "[::1"]
)
def test_another_host_name_is_refused_before_the_books_are_read(shop: Shop, host: str) -> None:
    answer = get(shop, host=host)
    assert answer.status_code == 421
    assert shop.token.hex() not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8081", "localhost:8081", "LOCALHOST"])
def test_this_machines_names_are_answered(shop: Shop, host: str) -> None:
    assert get(shop, host=host).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_the_page_only_shows(shop: Shop, method: str) -> None:
    assert get(shop, method=method).status_code == 405


def test_an_unknown_lender_is_a_sentence(shop: Shop) -> None:
    answer = get(shop, "/?lender=nobody")
    assert answer.status_code == 503
    assert "nobody" in answer.text


def test_of_many_rows_the_first_are_shown_and_all_are_counted(shop: Shop) -> None:
    for number in range(70):
        Account.create(token=number.to_bytes(16), lender=LENDER, limit_minor=1)
    text = Seen(get(shop).text).text
    assert "the first 50 of 72" in text


def test_only_markup_is_left_as_it_is() -> None:
    assert tag("b", "<i>", Markup("<u></u>"), class_='"') == '<b class="&quot;">&lt;i&gt;<u></u></b>'
