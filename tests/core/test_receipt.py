"""The receipt: what the customer takes home says what the journal says, and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.authorization import Hold, HoldState
from agent.core.classify import classify
from agent.core.journal import Position
from agent.core.money import Money
from agent.core.receipt import Seller, masked, read_slip_code, receipt_of, slip_code
from agent.core.snapshot_manifest import NAME
from agent.local.requests import SALE_ID

ACCOUNT = bytes.fromhex("00112233445566778899aabbccdd9f3a")
HOLD = Hold(
    "shoplend", "sale-0001", 1, HoldState.CAPTURED, ACCOUNT, 3000, "CNY", "stand_in", "00", "approved_offline", "A1B2C3"
)


def test_a_receipt_says_who_what_when_and_where_it_is_recorded() -> None:
    seller = Seller("Shop", "West", "lane-01")
    receipt = receipt_of(HOLD, seller=seller, lender="Shop Lend", local_time="18:05", entry=Position(2, 17))
    assert (receipt.amount, receipt.lender, receipt.entry) == (Money(3000, "CNY"), "Shop Lend", Position(2, 17))
    assert (receipt.authorization_code, receipt.response_code, receipt.is_online) == ("A1B2C3", "00", False)


@pytest.mark.parametrize(("account", "shown"), [(ACCOUNT, "****9f3a"), (None, "****")])
def test_an_account_is_shown_by_its_last_characters_only(account: bytes | None, shown: str) -> None:
    assert masked(account) == shown


def test_no_field_of_a_receipt_holds_the_account_token() -> None:
    receipt = receipt_of(HOLD, seller=Seller("a", "b", "c"), lender="d", local_time="e", entry=Position(1, 1))
    assert ACCOUNT.hex() not in repr(receipt) and repr(ACCOUNT) not in repr(receipt)


def test_the_code_on_a_slip_is_recognised_as_one_when_it_is_scanned() -> None:
    assert classify(slip_code("lane-01", "sale-0001").encode()).kind == "slip"


@given(st.from_regex(NAME, fullmatch=True), st.from_regex(SALE_ID.rstrip("$"), fullmatch=True))
def test_whatever_a_lane_and_a_sale_are_called_the_code_on_the_slip_names_both(lane: str, sale_id: str) -> None:
    assert read_slip_code(slip_code(lane, sale_id)) == (lane, sale_id)


@pytest.mark.parametrize("text", ["", "CFS1", "CFS1:", "CFS1:lane", "CFS1:lane:", "CFS1::sale", "CFS1:a:b:c", "X:a:b"])
def test_what_names_no_sale_is_no_slip(text: str) -> None:
    assert read_slip_code(text) is None
