"""Rule 13 at its edges: books that were restored to before a device, an epoch, a certificate or a layer. What such a
device recorded comes in all the same, moves money when somebody vouches for it, and meanwhile nothing is granted."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.core.cose import SigningKey
from agent.core.trust import Role
from backend import access, lanes, recovery, reports, rotation, strangers
from backend.access import Access
from backend.admin import restoring
from backend.database import transaction
from backend.identity import LaneName
from backend.problems import Problem
from backend.schema import Certificate, Dispute, QuarantinedEntry, Recovery
from tests.backend.lanes import LENDER, PaperLane, Shop
from tests.leases.backups import Forget, backup_of, files_of, installed, send_layers
from tests.leases.devices import NEXT_KEY, beat, begin, confirm_restored, heartbeat, replace, restore

ISSUED = LaneName("C", "merchant-1", "store-1", "c0ffee", 2**31)
"""A certificate of our CA that was issued after the backup."""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    opened = Shop.open(str(tmp_path / "backend.db"), 100, allowance_minor=100)
    yield opened
    assert opened.findings() == []
    opened.close()


@pytest.fixture
def backup(shop: Shop, tmp_path: Path) -> Callable[[], Forget]:
    return lambda: backup_of(shop, tmp_path / "backup.db")


def start_epoch(lane: PaperLane, reason: str, key: SigningKey | None = None) -> None:
    bound = (key or lane.key).public.to_cose_key()
    lane.write("epoch_start", {"certificate": bytes(32), "journal_key": bound, "reason": reason, "previous": None})


def another(shop: Shop, name: str, *, epoch: int = 1, key: SigningKey = NEXT_KEY) -> PaperLane:
    """A device beside those that the books know."""
    device = object.__new__(PaperLane)
    device.__dict__ |= shop.lanes["A"].__dict__ | {"name": name, "key": key}
    begin(device, epoch)
    return device


def certificate(lane: str) -> LaneName:
    return LaneName(lane, "merchant-1", "store-1", "c0ffee", 2**31)


def send_all(shop: Shop, lane: PaperLane, name: LaneName) -> list[str]:
    """As the lane does when a heartbeat says that nothing of its journal is stored."""
    lane.sent = 0
    answer = json.loads(shop.backend.ingest(lane.signed_upload(), name))
    lane.sent = answer["acknowledged_through"]
    return [row["result"] for row in answer["results"]]


@pytest.fixture
def sold(shop: Shop, backup: Callable[[], Forget]) -> tuple[PaperLane, dict[int, bytes]]:
    """Lane C is enrolled after the backup, gets a lease of 100, sells for 60 and is cut off for a while; then the
    backup is put back. What C has of its layers is beside it."""
    forget = backup()
    c = shop.lanes["C"] = PaperLane(shop, "C")
    start_epoch(c, "enrolled")
    installed(shop, "C")
    c.stand_in(60)
    c.upload()
    files = files_of("C")
    forget()
    return c, files


Sold = tuple[PaperLane, dict[int, bytes]]


# --- a device that was enrolled after the backup ---------------------------------------------------------------------
def test_the_first_word_of_a_forgotten_lane_ends_all_granting(shop: Shop, sold: Sold) -> None:
    """100 of 100 are leased to C, which the books do not know: to grant them to B would make 200."""
    lane, _ = sold
    answer = beat(shop, lane, name=ISSUED)
    assert (answer["journals"], answer["recovering"]) == ([], True), "so it sends its journal from the first entry on"
    assert set(send_all(shop, lane, ISSUED)) == {"accepted"}
    assert list(recovery.missing()) == ["A", "B", "C"]
    for name in "AB":
        heartbeat(shop, shop.lanes[name])
    assert shop.backend.refresh_snapshots() == 0
    with pytest.raises(Problem, match="recovering"):
        shop.lanes["A"].ask(shop.lanes["A"].request(10, shop.lanes["A"].new_sale()))


def test_a_device_of_a_lane_that_is_not_believed_any_more_is_waited_for_once_others_have_begun(
    shop: Shop, sold: Sold
) -> None:
    """Else a recovery that has begun would end without its leases."""
    lane, _ = sold
    with transaction(shop.backend.database):
        for _ in range(recovery.LANE_BEGINS_MAX):
            recovery.begin(reports.JOURNAL_FORGOTTEN, now_s=shop.clock.now_s, lane="C")
        Recovery.update(ended_at=shop.clock.now_s).execute()
    with pytest.raises(Problem, match="lane_unknown"):
        send_all(shop, lane, ISSUED)
    restoring.begin(shop.backend, reason=recovery.BY_OPERATOR)
    assert set(send_all(shop, lane, ISSUED)) == {"accepted"}
    assert "C" in recovery.missing()


def test_what_a_forgotten_lane_recorded_is_stored_at_once_and_moves_nothing_before_an_operator_admits_it(
    shop: Shop, sold: Sold
) -> None:
    lane, files = sold
    send_all(shop, lane, ISSUED)
    shop.backend.post_pending(100)
    assert strangers.waiting() == [("C", 1, 3)]
    assert shop.account().held_minor == 0
    with transaction(shop.backend.database):
        assert strangers.admit("C", 1) == lanes.OPEN
    assert access.of(ISSUED, now_s=shop.clock.now_s) is Access.FULL
    send_layers(shop, lane, files)
    shop.clock.now_s += 15
    for name in "ABC":
        heartbeat(shop, shop.lanes[name])
    shop.backend.post_pending(100)
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (60, 40)
    shop.backend.refresh_snapshots()
    assert recovery.started_at() is None
    assert Dispute.select().count() == 0


def test_a_device_that_nobody_vouches_for_is_quarantined_with_all_that_it_sent(shop: Shop, sold: Sold) -> None:
    lane, _ = sold
    send_all(shop, lane, ISSUED)
    with transaction(shop.backend.database):
        strangers.refuse("C", 1, now_s=shop.clock.now_s)
    shop.backend.post_pending(100)
    assert (QuarantinedEntry.select().count(), shop.account().held_minor) == (3, 0)
    assert [(row.reason, row.amount_minor) for row in Dispute.select()] == [("device_compromised", 60)]
    assert access.of(ISSUED, now_s=shop.clock.now_s) is Access.COMPROMISED
    assert "C" not in list(recovery.missing())


def test_only_the_key_that_the_journal_itself_binds_may_begin_it(shop: Shop, sold: Sold) -> None:
    lane, _ = sold
    lane.key = NEXT_KEY
    with pytest.raises(Problem, match="upload_signature"):
        send_all(shop, lane, ISSUED)
    assert (strangers.waiting(), recovery.started_at()) == ([], None)


def test_a_journal_without_its_beginning_is_none(shop: Shop, sold: Sold) -> None:
    lane, _ = sold
    with pytest.raises(Problem, match="lane_unknown"):
        shop.backend.ingest(lane.signed_upload(first=2), ISSUED)


# --- a device that took another one's place after the backup ---------------------------------------------------------
@pytest.mark.parametrize("compromised", [False, True])
def test_a_forgotten_replacement_is_admitted_and_the_device_before_is_what_the_operator_says(
    shop: Shop, backup: Callable[[], Forget], compromised: bool
) -> None:
    """The books take the old device for the lane's. Its unsent sale of 60 counts, unless it was stolen."""
    old = installed(shop, "A")
    forget = backup()
    replace(shop, old)
    new = another(shop, "A", epoch=2)
    start_epoch(new, "replaced")
    new.upload()
    forget()
    shown = certificate("A")
    assert access.of(shown, now_s=shop.clock.now_s) is Access.FORGOTTEN, "not the present device: that is the old one"
    send_all(shop, new, shown)
    with transaction(shop.backend.database):
        assert strangers.admit("A", 2, compromised=compromised) == lanes.OPEN
    assert lanes.find("A").epoch == 2
    old.stand_in(60)
    assert old.upload() == ["quarantined:device_compromised" if compromised else "accepted"]


def test_a_forgotten_device_that_was_itself_replaced_may_only_drain(shop: Shop, backup: Callable[[], Forget]) -> None:
    """Books of epoch 3, and the device of epoch 2 comes out of a drawer."""
    a = shop.lanes["A"]
    forget = backup()
    forget()
    for epoch in (3, 2):
        device = another(shop, "A", epoch=epoch, key=SigningKey.from_seed("p256", bytes([epoch]) * 32))
        start_epoch(device, "replaced")
        send_all(shop, device, LaneName("A", "merchant-1", "store-1", f"{epoch}", 2**31))
        with transaction(shop.backend.database):
            assert strangers.admit("A", epoch) == (lanes.OPEN if epoch == 3 else lanes.DRAINING)
    assert lanes.journal("A", 1).state == lanes.DRAINING
    assert a.head.epoch == 1


def test_a_device_that_the_books_know_cannot_claim_another_epoch_with_another_key(shop: Shop) -> None:
    thief = another(shop, "A", epoch=2)
    start_epoch(thief, "replaced")
    with pytest.raises(Problem, match="epoch_unknown"):
        send_all(shop, thief, LaneName("A", "merchant-1", "store-1"))


# --- an epoch that the lane's own device has begun after the backup --------------------------------------------------
def test_a_forgotten_epoch_of_the_same_device_needs_nobody_because_its_key_is_known(
    shop: Shop, backup: Callable[[], Forget]
) -> None:
    a = installed(shop, "A")
    forget = backup()
    a.stand_in(60)
    a.upload()
    restore(a, 1)
    confirm_restored(shop, a)
    begin(a, 2)
    start_epoch(a, "restored")
    a.upload()
    forget()
    assert beat(shop, a)["journals"] == [{"epoch": 1, "stored_through": 1}], "epoch 2 is not there: it is sent again"
    assert send_all(shop, a, LaneName("A", "merchant-1", "store-1")) == ["accepted"]
    assert (lanes.find("A").epoch, lanes.journal("A", 1).state) == (2, lanes.QUARANTINED)
    assert recovery.started_at() is not None
    assert shop.account().outstanding_minor == 100, "another copy of the old ledger may still spend it"


# --- certificates ----------------------------------------------------------------------------------------------------
def test_a_renewed_certificate_that_was_forgotten_is_known_again_by_the_journal_key(
    shop: Shop, backup: Callable[[], Forget]
) -> None:
    """Whoever shows it may send what it has; that it is the present device, its signature must say."""
    a = installed(shop, "A")
    forget = backup()
    forget()
    shown = certificate("A")
    assert access.of(shown, now_s=shop.clock.now_s) is Access.FORGOTTEN
    beat(shop, a, name=shown, signed=False)
    beat(shop, a, name=shown, key=NEXT_KEY)
    assert access.of(shown, now_s=shop.clock.now_s) is Access.FORGOTTEN
    beat(shop, a, name=shown)
    assert access.of(shown, now_s=shop.clock.now_s) is Access.FULL
    assert [row.epoch for row in Certificate.select()] == [1]
    assert recovery.started_at() is not None, "the backup is older than the certificate"


# --- what counts as proof --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", [{"signed": False}, {"key": NEXT_KEY}], ids=["unsigned", "signed by another key"])
def test_a_heartbeat_without_the_journal_keys_signature_stops_nothing_and_ends_nothing(
    shop: Shop, how: dict[str, Any]
) -> None:
    a = shop.lanes["A"]
    a.sent, a.sequence, a.digest = 10**6, 10**6, bytes(32)
    beat(shop, a, **how)
    assert recovery.started_at() is None
    with transaction(shop.backend.database):
        recovery.begin(recovery.BY_OPERATOR, now_s=shop.clock.now_s)
    a.sent = a.sequence = 0
    beat(shop, a, **how)
    assert "A" in list(recovery.missing())


# --- layers that are cut before anybody notices ----------------------------------------------------------------------
def test_no_layer_is_cut_for_a_lane_before_it_has_said_what_it_has(shop: Shop, backup: Callable[[], Forget]) -> None:
    """A has layer 2 with a lease of 100, which the books have forgotten. They cut another layer 2 for A and grant the
    100 to B; A's heartbeat then names sequence 2, and nothing looks wrong: 200 of 100."""
    a = installed(shop, "A")
    forget = backup()
    shop.cut("A")
    a.install()
    shop.clock.now_s += 30 * 86_400
    forget()
    assert shop.backend.refresh_snapshots() == 0
    heartbeat(shop, shop.lanes["B"])
    heartbeat(shop, a)
    assert shop.backend.refresh_snapshots() == 0
    assert recovery.started_at() is not None


def test_another_layer_under_the_sequence_that_the_lane_has_is_told_by_its_digest(
    shop: Shop, backup: Callable[[], Forget]
) -> None:
    a = installed(shop, "A")
    forget = backup()
    shop.cut("A")
    a.install()
    shop.clock.now_s += 60
    forget()
    shop.cut("A")  # somebody insists
    heartbeat(shop, a)
    assert recovery.started_at() is not None


# --- documents -------------------------------------------------------------------------------------------------------
def test_a_lane_with_newer_documents_proves_that_the_backend_forgot(shop: Shop) -> None:
    a, lender = shop.lanes["A"], shop.backend.lenders[LENDER]
    beat(shop, a, keys=lender.key_list.version + 1)
    assert [row.reason for row in Recovery.select()] == [reports.DOCUMENTS_FORGOTTEN]


def test_what_is_published_after_a_restore_reaches_the_lanes_that_had_a_newer_version(
    shop: Shop, backup: Callable[[], Forget]
) -> None:
    """Version 2 of the key list, at the lanes already, was forgotten; another version 2 they would not take."""
    a, now_s, randomness = shop.lanes["A"], shop.clock.now_s, shop.chance.randbytes
    forget = backup()
    with transaction(shop.backend.database):
        rotated = rotation.rotate_key(shop.backend.lenders[LENDER], Role.TIME, now_s=now_s, randomness=randomness)
    told = rotated.key_list.version
    forget()
    beat(shop, a, keys=told)
    with transaction(shop.backend.database):
        renewed = rotation.rotate_key(shop.backend.lenders[LENDER], Role.TIME, now_s=now_s, randomness=randomness)
    assert (told, renewed.key_list.version) == (2, 3)
