"""A page is opened by a link, once: whoever may merely connect to the port gets nothing of it."""

from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from agent.demo.props import free_port
from agent.local.access import Caller
from agent.local.client import LocalClient
from agent.local.page_links import LINKS_MAX, VALID_S, PageLinks
from tests.local.served import ServedLane
from tests.local.test_access import JSON, TOKEN, Browser, cookie
from tests.services.lanes import Till


@pytest.fixture
def pos(till: Till) -> Iterator[ServedLane]:
    lane = ServedLane(till)
    lane.port, lane.within_s = free_port(), 30
    yield lane


def opened(pos: ServedLane, path: str, headers: dict[str, str] | None = None) -> tuple[int, str | None, str | None]:
    """Status, Location, and the cookie that came with it."""
    connection = HTTPConnection("127.0.0.1", pos.port, timeout=15)
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.headers["Location"], (answer.headers["Set-Cookie"] or "").partition(";")[0] or None


@pytest.mark.parametrize("path", ["/", "/customer", "/open/cashier/", "/open/cashier/" + "0" * 64])
def test_a_stranger_on_this_computer_opens_no_page_and_gets_no_session(pos: ServedLane, path: str) -> None:
    def story(_: LocalClient) -> None:
        for headers in ({}, TOKEN):
            status, _, known = opened(pos, path, headers)
            assert (status in (401, 404), known) == (True, None)

    pos.tell(story)


@pytest.mark.parametrize(("page", "place", "who"), [("cashier", "/", 200), ("customer", "/customer", 403)])
def test_a_link_opens_its_page_once_and_for_the_browser_that_used_it(
    pos: ServedLane, page: str, place: str, who: int
) -> None:
    def story(client: LocalClient) -> None:
        path = client.post("/v1/page-links", {"page": page})["path"]
        status, location, known = opened(pos, path)
        assert (status, location) == (303, place) and known
        assert opened(pos, path) == (401, None, None)
        assert opened(pos, path, {"cookie": known})[:2] == (303, place)
        assert opened(pos, place, {"cookie": known})[0] == 200
        origin = {"origin": f"http://127.0.0.1:{pos.port}", "cookie": known}
        assert Browser(pos.port).ask("POST", "/v1/offers", JSON | origin, {"amount": AMOUNT})[0] == who

    pos.tell(story)


AMOUNT = {"minor": 3_000, "currency": "CNY"}


def test_a_display_becomes_no_cashier_by_its_link(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        path = client.post("/v1/page-links", {"page": "customer"})["path"]
        assert opened(pos, path.replace("customer", "cashier"))[0] == 401
        assert opened(pos, "/", cookie(Caller.DISPLAY))[0] == 401

    pos.tell(story)


def test_pos_software_opens_a_page_and_a_page_opens_no_other(pos: ServedLane) -> None:
    def story(_: LocalClient) -> None:
        browser, origin = Browser(pos.port), {"origin": f"http://127.0.0.1:{pos.port}"}
        status, link, _ = browser.ask("POST", "/v1/page-links", JSON | TOKEN, {"page": "cashier"})
        assert (status, opened(pos, link["path"])[0]) == (201, 303)
        for page in (Caller.CASHIER, Caller.DISPLAY):
            assert browser.ask("POST", "/v1/page-links", JSON | origin | cookie(page), {})[0] == 403

    pos.tell(story)


def test_another_sites_page_uses_no_link_up(pos: ServedLane) -> None:
    def story(client: LocalClient) -> Any:
        path = client.post("/v1/page-links", {"page": "cashier"})["path"]
        assert opened(pos, path, {"sec-fetch-site": "cross-site"})[0] == 403
        return opened(pos, path, {"sec-fetch-site": "none"})

    assert pos.tell(story)[0] == 303


def test_a_link_is_good_for_minutes_and_no_crowd_of_links_is_kept() -> None:
    now_s = [0.0]
    links = PageLinks(lambda: now_s[0])
    late, early = links.make(Caller.CASHIER), links.make(Caller.CASHIER)
    now_s[0] = VALID_S - 1
    assert links.use(Caller.CASHIER, early)
    now_s[0] = VALID_S
    assert not links.use(Caller.CASHIER, late)
    first, *_, last = [links.make(Caller.DISPLAY) for _ in range(LINKS_MAX + 1)]
    assert (links.use(Caller.DISPLAY, first), links.use(Caller.DISPLAY, last)) == (False, True)
