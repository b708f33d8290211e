"""The counter: a scan pays for the sale that waits, and whoever asks always hears where the sale stands."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agent.errors import IdempotencyConflict, LedgerUnavailable
from drivers.device import Article
from tests.services.lanes import Till, approved, declined, order
from tests.uplink.world import run

SALE = "sale-0001"


def told(till: Till, listener: Any) -> list[tuple[str, str | None]]:
    """The events so far: kind, and the state of a sale or the kind of a scan."""
    events = list(iter(listener.get_nowait, None))
    return [(event["type"], event["data"].get("state") or event["data"].get("kind")) for event in events]


def slow(till: Till, answer: Any = None, seconds: float = 1.0) -> None:
    """A backend that takes its time."""

    async def answers(request: Mapping[str, Any]) -> Any:
        await asyncio.sleep(seconds)
        return answer if answer is not None else approved(request)

    till.backend.available, till.backend.answer = True, answers


def test_a_scan_pays_for_the_waiting_sale_and_everybody_is_told_each_step(till: Till) -> None:
    async def story() -> None:
        listener = till.lane.events.subscribe()
        slow(till)
        opened = await till.counter.open_sale(order())
        assert (opened["state"], opened["waiting_for_code"]) == ("waiting", True)
        till.counter.scanned(till.phone().code().encode() + b"\r\n", "counter")
        assert till.counter.view(SALE)["state"] == "asking"
        view = await till.counter.wait(SALE, lambda view: view["state"] == "approved", 10)
        assert (view["mode"], view["response_code"], view["attempt"]) == ("online", "00", 1)
        assert told(till, listener) == [("sale", "waiting"), ("sale", "asking"), ("sale", "approved")]

    run(story())


def test_a_declined_sale_waits_for_another_code(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order())
        till.counter.scanned(till.phone().code(age_s=600).encode(), "counter")
        view = await till.counter.wait(SALE, lambda view: view["attempt"] == 1 and view["state"] == "declined", 10)
        assert (view["reason"], view["waiting_for_code"]) == ("pass.proof_stale", True)
        assert view["texts"]["next"]
        till.counter.scanned(till.phone().code().encode(), "counter")
        view = await till.counter.wait(SALE, lambda view: view["state"] == "approved", 10)
        assert view["attempt"] == 2
        assert "waiting_for_code" not in view

    run(story())


def test_scans_that_come_while_a_sale_is_asked_for_pay_for_nothing(till: Till) -> None:
    async def story() -> None:
        slow(till, declined())
        await till.counter.open_sale(order())
        for _ in range(3):
            till.counter.scanned(till.phone().code().encode(), "counter")
        await asyncio.sleep(5)
        assert len(till.backend.requests) == len(till.ledger.attempts(SALE)) == 1

    run(story())


SCANS = {
    b"4006381333931": ("item", "4006381333931"),
    b"CFS1:lane-01:sale-0001": ("slip", "CFS1:lane-01:sale-0001"),
    b"\xff\xfe": ("other", "\ufffd\ufffd"),
    b"281234567890123456": ("wallet_alipay", None),
}


@pytest.mark.parametrize("raw", SCANS)
def test_a_scan_without_a_sale_goes_to_the_pos_and_a_credential_stays_secret(till: Till, raw: bytes) -> None:
    listener = till.lane.events.subscribe()
    till.counter.scanned(raw, "counter")
    told = listener.get_nowait()["data"]
    assert (told["kind"], told["device"], told["value"]) == (SCANS[raw][0], "counter", SCANS[raw][1])
    assert told["value"] is not None or set(told) == {"kind", "device", "value"}


def test_what_an_article_code_says_is_told_to_the_pos_and_never_read_out_of_a_credential(till: Till) -> None:
    listener = till.lane.events.subscribe()
    ham = Article(gtin="09501234567890", batch="A1", expires_on="2026-12-31", net_weight_g=1752)
    till.counter.scanned(b"0109501234567890310300175210A1", "counter", "]C1", ham)
    assert listener.get_nowait()["data"] == {
        "kind": "item",
        "device": "counter",
        "value": "0109501234567890310300175210A1",
        "symbology": "]C1",
        "article": {"gtin": "09501234567890", "batch": "A1", "expires_on": "2026-12-31", "net_weight_g": 1752},
    }
    till.counter.scanned(b"281234567890123456", "counter", "]Q3", ham)
    assert listener.get_nowait()["data"] == {"kind": "wallet_alipay", "device": "counter", "value": None}


def test_an_item_scanned_while_a_sale_waits_does_not_pay_for_it(till: Till) -> None:
    run(till.counter.open_sale(order()))
    till.counter.scanned(b"4006381333931", "counter")
    assert till.counter.view(SALE)["state"] == "waiting"
    assert till.ledger.attempts(SALE) == ()


def test_a_sale_is_known_from_its_first_moment_even_behind_another_ones_time_out(till: Till) -> None:
    """A POS that hears 404 rings the sale up again under another id, and the customer pays twice."""

    async def story() -> None:
        slow(till)
        first = asyncio.create_task(till.counter.open_sale(order("sale-0001"), till.phone().code()))
        second = asyncio.create_task(till.counter.open_sale(order("sale-0002"), till.phone().code()))
        await asyncio.sleep(0.5)
        for sale_id in ("sale-0001", "sale-0002"):
            assert till.counter.knows(sale_id)
            assert till.counter.view(sale_id)["state"] == "asking"
            assert till.counter.view(sale_id)["amount"]["minor"] == 3_000
        assert [view["state"] for view in await asyncio.gather(first, second)] == ["approved", "approved"]

    run(story())


def test_the_next_sale_may_be_opened_while_one_is_asked_for_and_both_are_shown(till: Till) -> None:
    async def story() -> None:
        slow(till)
        await till.counter.open_sale(order("sale-0001"))
        till.counter.scanned(till.phone().code().encode(), "counter")
        await till.counter.open_sale(order("sale-0002"))
        assert till.counter.view("sale-0001")["state"] == "asking"
        assert till.counter.view("sale-0002")["waiting_for_code"]
        view = await till.counter.wait("sale-0001", lambda view: view["state"] == "approved", 10)
        assert view["state"] == "approved"
        assert till.counter.view("sale-0002")["waiting_for_code"], "the outcome of the first is not the second's"

    run(story())


def test_a_waiting_sale_that_the_pos_pays_by_itself_takes_no_further_scan(till: Till) -> None:
    async def story() -> None:
        listener = till.lane.events.subscribe()
        await till.counter.open_sale(order())
        assert (await till.counter.open_sale(order(), till.phone().code()))["state"] == "approved"
        told(till, listener)
        till.counter.scanned(till.phone().code().encode(), "counter")
        assert told(till, listener) == [("scan", "credit_pass")]

    run(story())


def test_a_code_with_a_line_ending_is_the_same_code(till: Till) -> None:
    code = till.phone().code()
    assert run(till.counter.open_sale(order(), code + "\r\n"))["state"] == "approved"
    assert run(till.counter.open_sale(order(), code))["attempt"] == 1


@pytest.mark.parametrize("change", [{"minor": 1}, {"category": "5732"}, {"capture": "later"}])
def test_a_sale_id_stands_for_one_content_from_the_moment_it_is_opened(till: Till, change: dict[str, Any]) -> None:
    for code in (None, till.phone().code()):
        run(till.counter.open_sale(order()))
        with pytest.raises(IdempotencyConflict):
            run(till.counter.open_sale(order(**change), code))
    run(till.counter.open_sale(order(), till.phone().code()))
    with pytest.raises(IdempotencyConflict):
        run(till.counter.open_sale(order(**change)))


def test_opening_a_sale_that_went_through_shows_its_outcome(till: Till) -> None:
    run(till.counter.open_sale(order(), till.phone().code()))
    view = run(till.counter.open_sale(order()))
    assert (view["state"], view.get("waiting_for_code")) == ("approved", None)


def test_whoever_waits_hears_of_an_outcome_that_another_way_brought(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order())
        waiting = asyncio.create_task(till.counter.wait(SALE, lambda view: view["state"] == "approved", 50))
        await asyncio.sleep(1)
        await till.counter.open_sale(order(), till.phone().code())
        began = asyncio.get_running_loop().time()
        assert (await waiting)["state"] == "approved"
        assert asyncio.get_running_loop().time() == began

    run(story())


def test_a_ledger_that_fails_is_shown_with_what_to_do_and_the_next_scan_may_succeed(till: Till) -> None:
    ledger: Any = till.ledger
    record = ledger.record

    def full(*_: Any, **__: Any) -> None:
        raise LedgerUnavailable("the disk is full")

    async def story() -> None:
        await till.counter.open_sale(order())
        ledger.record = full
        heard = till.lane.events.subscribe()
        till.counter.scanned(till.phone().code().encode(), "counter")
        view = await till.counter.wait(SALE, lambda view: view["state"] == "unknown", 10)
        assert [event["data"]["state"] for event in iter(heard.get_nowait, None)][-1] == "unknown"
        assert (view["reason"], view["waiting_for_code"]) == ("ledger_unavailable", True)
        assert view["texts"]["next"]
        ledger.record = record
        till.counter.scanned(till.phone().code(age_s=600).encode(), "counter")
        view = await till.counter.wait(SALE, lambda view: view["attempt"] == 1, 10)
        assert view["state"] == "declined"

    run(story())


def test_a_request_that_a_pos_repeats_leaves_everybody_with_the_answer(till: Till) -> None:
    async def story() -> None:
        code = till.phone().code()
        await till.counter.open_sale(order(), code)
        heard = till.lane.events.subscribe()
        await till.counter.open_sale(order(), code)
        assert [event["data"]["state"] for event in iter(heard.get_nowait, None)][-1] == "approved"

    run(story())


def test_an_answer_never_shows_the_whole_account(till: Till) -> None:
    view = run(till.counter.open_sale(order(), till.phone().code()))
    assert view["account"] == "****0e0f"
    assert bytes(range(16)).hex() not in repr(view)
