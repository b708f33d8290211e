"""Rule 17 at the backend: a sale whose lane's disk is lost comes in by the customer's slip, once."""

import json
from dataclasses import replace

import pytest

from agent.core.cose import SigningKey
from agent.core.slip_claim import SlipClaim, make_claim
from backend import access, recovery
from backend.database import transaction
from backend.problems import Problem
from backend.schema import Claim, Dispute
from tests.backend.lanes import LENDER, PaperLane, Shop
from tests.leases import devices


@pytest.fixture
def lane(shop: Shop) -> PaperLane:
    shop.cut("A")
    shop.lanes["A"].install()
    shop.lanes["A"].upload()
    return shop.lanes["A"]


def slip_of(device: PaperLane, sale_id: str, amount_minor: int, **other: object) -> str:
    claim = SlipClaim(
        lane=device.name,
        epoch=device.head.epoch,
        lender=LENDER,
        sale_id=sale_id,
        attempt=1,
        account=device.shop.token,
        amount_minor=amount_minor,
        currency="CNY",
        approved_at=device.shop.clock.now_s,
        lease_epoch=device.head.epoch,
        delta_minor=amount_minor,
    )
    return make_claim(replace(claim, **other), device.key)  # type: ignore[arg-type]


def told(shop: Shop, slip: str) -> str:
    answer = json.loads(shop.backend.claim(slip))
    return str(answer["result"])


def test_a_slip_is_posted_from_its_lanes_lease_and_only_once(shop: Shop, lane: PaperLane) -> None:
    """The disk burns with an unsent sale of 60 in it; customer and merchant both bring the slip."""
    slip = slip_of(lane, lane.stand_in(60), 60)
    assert told(shop, slip) == "accepted"
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (60, 40)
    assert told(shop, slip) == "duplicate"
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (60, 40)


def test_a_sale_that_the_journal_has_told_of_is_known(shop: Shop, lane: PaperLane) -> None:
    sale = lane.stand_in(60)
    lane.upload()
    assert told(shop, slip_of(lane, sale, 60)) == "known"
    assert shop.account().held_minor == 60


def test_when_the_journal_comes_after_all_the_money_is_not_moved_twice(shop: Shop, lane: PaperLane) -> None:
    """The disk turns out to be readable: its entry comes after the claim."""
    sale = lane.stand_in(60)
    told(shop, slip_of(lane, sale, 60))
    lane.capture(60, sale)
    assert lane.upload() == ["disputed:claimed_before", "accepted"]
    assert (shop.account().held_minor, shop.account().used_minor, shop.account().outstanding_minor) == (0, 60, 40)


def test_no_more_is_posted_than_the_lease_has_left_and_people_see_the_rest(shop: Shop, lane: PaperLane) -> None:
    assert told(shop, slip_of(lane, "sale-forged", 150)) == "accepted"
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (100, 0)
    claim = Claim.get()
    assert (claim.reason, claim.excess_minor) == ("lease_excess", 50)


def test_a_request_for_the_same_sale_that_comes_later_is_declined(shop: Shop, lane: PaperLane) -> None:
    sale = lane.new_sale()
    told(shop, slip_of(lane, sale, 60))
    assert lane.ask(lane.request(60, sale))["reason"] == "tombstoned"


def test_a_slip_of_a_restored_ledger_counts_for_what_the_restore_lost(shop: Shop, lane: PaperLane) -> None:
    slip = slip_of(lane, lane.stand_in(60), 60)
    devices.restore(lane, 1)
    devices.confirm_restored(shop, lane)
    assert told(shop, slip) == "accepted"
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (60, 40)


def test_what_a_compromised_device_signed_is_not_believed(shop: Shop, lane: PaperLane) -> None:
    slip = slip_of(lane, lane.stand_in(60), 60)
    with transaction(shop.backend.database):
        access.revoke("A", compromised=True)
    with pytest.raises(Problem, match="lane_revoked"):
        told(shop, slip)
    with transaction(shop.backend.database):
        recovery.write_off("A", 1)
    with pytest.raises(Problem, match="lane_revoked"):
        told(shop, slip)


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        ({"lane": "B"}, "claim_signature"),
        ({"lane": "Z"}, "lane_unknown"),
        ({"epoch": 9}, "epoch_unknown"),
        ({"lender": "nobody"}, "lender_unknown"),
        ({"lane": "A\0"}, "claim_signature"),
    ],
)
def test_a_slip_that_cannot_be_this_lanes_is_refused(
    shop: Shop, lane: PaperLane, other: dict[str, object], problem: str
) -> None:
    with pytest.raises(Problem, match=problem):
        told(shop, slip_of(lane, "sale-00001", 60, **other))


def test_a_slip_with_a_text_that_books_cannot_keep_is_refused(shop: Shop, lane: PaperLane) -> None:
    with pytest.raises(Problem, match="claim_signature"):
        told(shop, slip_of(lane, "sale\0-0001", 60))


def test_a_slip_that_somebody_else_signed_is_refused(shop: Shop, lane: PaperLane) -> None:
    lane.key = SigningKey.from_seed("p256", b"s" * 32)
    with pytest.raises(Problem, match="claim_signature"):
        told(shop, slip_of(lane, "sale-00001", 60))
    with pytest.raises(Problem, match="claim_signature"):
        told(shop, "https://example.org/pay")
    assert Claim.select().count() == Dispute.select().count() == 0
