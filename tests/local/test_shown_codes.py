"""The lane's own code over the local API: asked for, drawn, printed, given up, and refused in words."""

from typing import Any

import pytest

from agent.local.client import LocalClient, RequestRefused
from tests.local.served import ServedLane
from tests.services.lanes import CUSTOMER, LENDER, Till
from tests.services.test_shown_codes import PENDING, SIGN, paid

SALE, AMOUNT = "sale-0001", {"minor": 3_000, "currency": "CNY"}
PATH = f"/v1/sales/{SALE}"


@pytest.fixture
def pos(till: Till) -> ServedLane:
    till.settings["sign"] = SIGN
    till.restart()
    till.backend.available = True
    till.backend.answer = till.backend.known = PENDING
    return ServedLane(till)


def refusal(client: LocalClient, body: dict[str, Any] | None = None) -> tuple[int, str]:
    with pytest.raises(RequestRefused) as refused:
        client.post(f"{PATH}/merchant-code", body or {})
    return refused.value.problem["status"], refused.value.problem["title"]


def test_a_pos_shows_the_code_prints_it_and_hears_that_it_was_paid(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        client.post("/v1/sales", {"sale_id": SALE, "amount": AMOUNT})
        shown = client.post(f"{PATH}/merchant-code", {"lender": LENDER})
        assert shown["own_code"]["text"].startswith("000201") and "job_id" not in shown
        assert client.post(f"{PATH}/merchant-code", {"print": True})["job_id"] == 1
        pos.till.backend.known = paid()
        view = client.get(f"{PATH}?wait_s=20")
        assert (view["state"], view["account"]) == ("approved", f"****{CUSTOMER.hex()[-4:]}")
        assert refusal(client) == (409, "sale_not_waiting")

    pos.tell(story)


def test_the_cashier_stops_waiting(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        client.post("/v1/sales", {"sale_id": SALE, "amount": AMOUNT})
        client.post(f"{PATH}/merchant-code", {})
        client.post(f"{PATH}/abandonment", {})
        assert client.get(f"{PATH}?wait_s=20")["reason"] == "code_abandoned"

    pos.tell(story)


def test_what_cannot_be_shown_is_refused_in_words(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        assert refusal(client) == (409, "sale_not_waiting")
        client.post("/v1/sales", {"sale_id": SALE, "amount": AMOUNT})
        assert refusal(client, {"lender": "nobody"}) == (404, "lender_unknown")
        pos.till.backend.available = False
        assert refusal(client) == (409, "code_online_only")
        assert client.get(PATH)["state"] == "waiting"

    pos.tell(story)
