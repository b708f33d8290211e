"""Operators over the local API: a page signs in by cookie, POS software by header, and the lane's own user is known."""

from collections.abc import Iterator
from typing import Any

import pytest

from agent.core.operators import TRIES_MAX, Operator, Role
from agent.demo.props import free_port
from agent.local.access import Caller
from agent.local.client import LocalClient, RequestRefused
from tests.local.served import ServedLane
from tests.local.test_access import AMOUNT, JSON, TOKEN, Browser, cookie
from tests.services.lanes import Till

PIN = "2468"


@pytest.fixture
def pos(till: Till) -> Iterator[ServedLane]:
    lane = ServedLane(till)
    lane.port = free_port()
    for name, role in (("12", Role.CASHIER), ("1", Role.SUPERVISOR)):
        lane.book.change(name, lambda _, name=name, role=role: Operator(name, role, lane.book.hashed(PIN)))
    yield lane


def sold(pos: ServedLane, client: LocalClient) -> None:
    client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT, "code": pos.till.phone().code()})


def test_a_page_signs_in_by_a_cookie_that_no_script_reads(pos: ServedLane) -> None:
    page = JSON | cookie(Caller.CASHIER) | {"origin": f"http://127.0.0.1:{pos.port}"}
    browser = Browser(pos.port)

    def void(headers: dict[str, str]) -> tuple[int, Any]:
        return browser.ask("POST", "/v1/sales/sale-0001/void", headers, {})[:2]

    def story(client: LocalClient) -> None:
        sold(pos, client)
        status, problem = void(page)
        assert (status, problem["title"]) == (403, "operator_required")
        assert problem["texts"]["en"]["next"] and problem["texts"]["zh-CN"]["next"]
        status, answer, headers = browser.ask("POST", "/v1/operator-session", page, {"operator": "1", "pin": PIN})
        assert (status, answer) == (201, {"operator": "1", "role": "supervisor"})
        assert "HttpOnly; SameSite=Strict" in headers["Set-Cookie"]
        signed_in = page | {"cookie": f"{page['cookie']}; {headers['Set-Cookie'].partition(';')[0]}"}
        assert browser.ask("GET", "/v1/operators", signed_in)[1]["signed_in"]["operator"] == "1"
        assert void(signed_in)[1]["state"] == "voided"
        assert browser.ask("DELETE", "/v1/operator-session", signed_in)[0] == 200
        assert void(signed_in)[1]["title"] == "operator_required"

    pos.tell(story)


def test_pos_software_sends_its_session_as_a_header(pos: ServedLane) -> None:
    browser = Browser(pos.port)

    def refund(session: str) -> tuple[int, str]:
        headers = JSON | TOKEN | {"Counterfoil-Operator": session}
        status, answer, _ = browser.ask("POST", "/v1/sales/sale-0001/refund", headers, {"request_id": "r-1"})
        return status, answer.get("title") or answer["state"]

    def session_of(name: str) -> str:
        answer = browser.ask("POST", "/v1/operator-session", JSON | TOKEN, {"operator": name, "pin": PIN})[1]
        return str(answer["session"])

    def story(client: LocalClient) -> None:
        sold(pos, client)
        assert refund("") == refund("0" * 64) == (403, "operator_required")
        assert refund(session_of("12")) == (403, "role_required")
        assert refund(session_of("1")) == (200, "refunded")

    pos.tell(story)


def test_what_can_be_no_sale_leaves_no_word_in_the_journal(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        sold(pos, client)
        before = pos.till.ledger.head
        for sale_id in ("s" * 2000, "sale-0001%20", "%EF%BC%91" * 8):
            with pytest.raises(RequestRefused, match="no sale id"):
                client.post(f"/v1/sales/{sale_id}/void")
        assert pos.till.ledger.head == before

    pos.tell(story)


def test_wrong_pins_are_told_with_how_long_to_wait(pos: ServedLane) -> None:
    def story(_: LocalClient) -> None:
        for _ in range(TRIES_MAX):
            said = Browser(pos.port).ask("POST", "/v1/operator-session", JSON | TOKEN, {"operator": "1", "pin": "0000"})
        assert (said[0], said[1]["title"], said[1]["wait_s"]) == (403, "operator_locked", 30)

    pos.tell(story)


def test_the_lanes_own_user_needs_no_session_and_is_recorded(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        sold(pos, client)
        assert client.post("/v1/sales/sale-0001/void")["state"] == "voided"

    pos.tell(story)
    kinds = [sealed.entry.kind for sealed in pos.till.ledger.entries_after(pos.till.ledger.head.epoch, 0, 100)]
    assert kinds.index("operator") < kinds.index("void")


def test_a_file_of_operators_that_is_damaged_stops_what_is_sensitive_and_nothing_else(pos: ServedLane) -> None:
    pos.book._path.write_text("{")
    browser = Browser(pos.port)

    def story(client: LocalClient) -> None:
        sold(pos, client)
        status, problem, _ = browser.ask("POST", "/v1/sales/sale-0001/void", JSON | TOKEN, {})
        assert (status, problem["title"]) == (503, "operators_unreadable")

    pos.tell(story)


def test_a_shift_is_of_who_is_signed_in_and_a_supervisor_alone_opens_or_counts_anothers(pos: ServedLane) -> None:
    browser = Browser(pos.port)

    def ask(name: str, path: str, body: dict[str, Any]) -> Any:
        signed_in = browser.ask("POST", "/v1/operator-session", JSON | TOKEN, {"operator": name, "pin": PIN})[1]
        headers = JSON | TOKEN | {"Counterfoil-Operator": signed_in["session"]}
        answer = browser.ask("POST", path, headers, body)[1]
        return answer.get("operator") or answer["title"]

    def story(client: LocalClient) -> None:
        drawer, counted = {"float_minor": 20_000}, {"counted_minor": 20_000}
        assert ask("12", "/v1/shift/opening", drawer | {"operator": "1"}) == "role_required"
        assert ask("12", "/v1/shift/opening", drawer) == "12"
        assert ask("1", "/v1/shift/closing", counted) == "12"
        assert ask("1", "/v1/shift/opening", drawer | {"operator": "7"}) == "7"
        assert ask("12", "/v1/shift/closing", counted) == "role_required"
        with pytest.raises(RequestRefused, match="say who"):
            client.post("/v1/shift/opening", drawer)

    pos.tell(story)
