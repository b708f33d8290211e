"""Rule 11 at the backend: a ledger that was restored from an old copy forks; what it wrote beside the journal is kept
apart, and the lane goes on in a new epoch."""

import json

import pytest

from backend.problems import Problem
from backend.schema import Dispute, QuarantinedEntry
from backend.wire import SettlementRequest, b64url, read
from tests.backend.lanes import LENDER, PaperLane, Shop
from tests.leases.devices import begin, confirm_restored, restore


@pytest.fixture
def forked(shop: Shop) -> PaperLane:
    """Lane A sold for 60, told so, went back to before the sale, and sold for 50 from the same lease."""
    shop.cut("A")
    lane = shop.lanes["A"]
    lane.install()
    lane.stand_in(60)
    assert lane.upload() == ["accepted", "accepted"]
    restore(lane, 1)
    lane.stand_in(50)
    return lane


def test_a_forked_journal_is_refused_and_nothing_of_it_is_posted(shop: Shop, forked: PaperLane) -> None:
    with pytest.raises(Problem, match="journal_fork"):
        forked.upload()
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (60, 40)


def test_forked_entries_are_quarantined_not_discarded_and_move_no_money(shop: Shop, forked: PaperLane) -> None:
    """The restored lane has spent the lease twice; the backend posts what it had, and shows the rest to people."""
    answer = confirm_restored(shop, forked)
    assert (answer["epoch"], answer["previous"]["epoch"], answer["previous"]["number"]) == (2, 1, 2)
    forked.sent = 0
    assert forked.upload() == ["duplicate", "quarantined:journal_forked"]
    assert forked.sent == 2, "acknowledged, so that the queue empties"
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (60, 40)
    assert [row.amount_minor for row in Dispute.select().where(Dispute.result == "quarantined")] == [50]
    assert [bytes(row.data) for row in QuarantinedEntry.select()] == [forked.entries[1].data]


def test_what_is_quarantined_is_stored_once_however_often_it_comes(shop: Shop, forked: PaperLane) -> None:
    confirm_restored(shop, forked)
    for _ in range(2):
        forked.sent = 0
        forked.upload()
    assert QuarantinedEntry.select().count() == Dispute.select().count() == 1


def test_the_new_epoch_has_its_own_leases_and_the_old_ones_stay_counted(shop: Shop, forked: PaperLane) -> None:
    """The disk that was copied may still be somewhere and spend: 40 of the old epoch are not granted again."""
    confirm_restored(shop, forked)
    shop.clock.now_s += 30 * 86_400
    begin(forked, 2)
    shop.backend.refresh_snapshots()
    forked.install()
    assert forked.remaining(shop.token) == 0
    forked.upload()
    assert shop.account().outstanding_minor == 40


def test_a_lost_answer_is_given_again_and_another_request_for_the_same_epoch_is_refused(
    shop: Shop, forked: PaperLane
) -> None:
    first = confirm_restored(shop, forked)
    assert confirm_restored(shop, forked) == first
    forked.stand_in(1, funding="cap")
    with pytest.raises(Problem, match="idempotency_conflict"):
        confirm_restored(shop, forked)
    begin(forked, 3)
    with pytest.raises(Problem, match="epoch_unknown"):
        confirm_restored(shop, forked)


def test_a_quarantined_journal_is_still_one_that_its_lane_must_sign_and_send_in_order(
    shop: Shop, forked: PaperLane
) -> None:
    confirm_restored(shop, forked)
    for _ in range(3):
        forked.stand_in(1, funding="cap")
    with pytest.raises(Problem, match="expected number 3"):
        shop.backend.ingest(forked.signed_upload(first=4))
    forked.key = shop.lanes["B"].key
    with pytest.raises(Problem, match="upload_signature"):
        shop.backend.ingest(forked.signed_upload(first=1))


def test_a_batch_of_the_journal_that_was_left_is_answered_and_names_what_was_set_aside(
    shop: Shop, forked: PaperLane
) -> None:
    """It must not stay pending for ever; and the merchant is paid what the backend's own half says."""
    confirm_restored(shop, forked)
    forked.decline(9, "sale-declined")
    total = {"approved": {"count": 1, "minor": 50}, "stand_in": {"count": 1, "minor": 50}}
    body = {"lender": LENDER, "epoch": 1, "batch": 1, "first_number": 1, "last_number": 3}
    body |= {"chain_head": b64url(forked.head.hash), "totals": total | {"declined": {"count": 1, "minor": 9}}}
    asked = read(SettlementRequest, json.dumps(body).encode())
    with pytest.raises(Problem, match="journal_behind"):
        shop.backend.settle(asked, "A")
    forked.sent = 0
    forked.upload()
    answer = json.loads(shop.backend.settle(asked, "A"))
    assert answer["matched"] is False
    named = {(row["what"], row.get("name", row.get("number"))) for row in answer["differences"]}
    assert {("total", "approved"), ("entry", 2), ("entry", 3), ("chain_head", 3)} <= named
    assert answer["totals"]["approved"] == {"count": 1, "minor": 60}
