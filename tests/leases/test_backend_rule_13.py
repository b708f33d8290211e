"""Rule 13 at the backend: it was restored from a backup, and may have forgotten what it acknowledged and granted. It
grants and authorizes nothing until its lanes have told what they know."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.core import cbor
from agent.core.lane_report import InForce
from backend import accounts, recovery
from backend.admin import restoring
from backend.database import transaction
from backend.problems import Problem
from backend.schema import Account, Dispute, LaneReport, LeaseGrant, Recovery, SnapshotLayer
from tests.backend.lanes import LENDER, Shop
from tests.leases.backups import Forget, backup_of, files_of, installed, rewind, send_layers
from tests.leases.devices import heartbeat, replace


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """On SQLite only: a backup of the books is a copy of their file."""
    opened = Shop.open(str(tmp_path / "backend.db"), 100, allowance_minor=100)
    yield opened
    assert opened.findings() == []
    opened.close()


@pytest.fixture
def backup(shop: Shop, tmp_path: Path) -> Callable[[], Forget]:
    """backup() keeps a copy of the books as they are; calling what it gives brings them back."""
    return lambda: backup_of(shop, tmp_path / "backup.db")


def test_a_lane_that_knows_more_than_is_stored_proves_that_the_backend_forgot(
    shop: Shop, backup: Callable[[], Forget]
) -> None:
    a = installed(shop, "A")
    forget = backup()
    a.stand_in(60)
    a.upload()
    forget()
    assert recovery.started_at() is None
    heartbeat(shop, a)
    assert recovery.started_at() == shop.clock.now_s


def test_a_forgotten_layer_is_granted_by_its_own_signature_again_before_anything_spent_from_it_is_posted(
    shop: Shop, backup: Callable[[], Forget]
) -> None:
    """The lease of 100 was cut after the backup, 60 of it are sold and acknowledged; the backend, which knows of
    neither, grants 100 to B: 160 of 100."""
    forget = backup()
    a = installed(shop, "A")
    a.stand_in(60)
    a.upload()
    files = files_of("A")
    forget()
    assert heartbeat(shop, a) == [{"lender": LENDER, "sequence": 1}]
    assert shop.backend.refresh_snapshots() == 0, "B gets nothing"
    rewind(a)
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (0, 0), "stored, and waits for its lease"
    send_layers(shop, a, files)
    assert shop.account().outstanding_minor == 100
    heartbeat(shop, shop.lanes["B"])
    shop.backend.post_pending(100)
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (60, 40)
    assert Dispute.select().count() == 0


def test_an_online_answer_that_was_forgotten_is_known_again_by_its_code(
    shop: Shop, backup: Callable[[], Forget]
) -> None:
    """60 were approved online and captured; the books know of neither. The outcome carries the code of the approval,
    which only this backend can have made, so it is paid from available credit as it was before."""
    a = shop.lanes["A"]
    forget = backup()
    for code in (None, "000000"):
        sale = a.intend(60 if code is None else 30)
        answer = a.ask(a.request(60 if code is None else 30, sale))
        a.note(answer | ({"authorization_code": code} if code else {}), 60 if code is None else 30, sale)
    a.upload()
    forget()
    rewind(a)
    for lane in (a, shop.lanes["B"]):
        heartbeat(shop, lane)
    shop.backend.post_pending(100)
    assert shop.account().held_minor == 60
    assert [(row.reason, row.amount_minor) for row in Dispute.select()] == [("online_not_answered", 30)]


def test_a_forgotten_answer_finds_no_more_than_the_limit_that_was_cut_meanwhile(
    shop: Shop, backup: Callable[[], Forget]
) -> None:
    """Books that never held the answer cannot say that the account stood there before: the rest is for people, and the
    lender bears it."""
    a = shop.lanes["A"]
    forget = backup()
    sale = a.intend(60)
    a.note(a.ask(a.request(60, sale)), 60, sale)
    a.upload()
    forget()
    with transaction(shop.backend.database):
        accounts.set_limit(Account.get(), 20, outstanding_minor=0)
    rewind(a)
    for lane in (a, shop.lanes["B"]):
        heartbeat(shop, lane)
    shop.backend.post_pending(100)
    assert shop.account().held_minor == 20
    assert [(row.reason, row.amount_minor, row.bearer) for row in Dispute.select()] == [("lease_excess", 40, "lender")]


def test_a_delta_brings_back_the_whole_stack_that_it_lies_on(shop: Shop, backup: Callable[[], Forget]) -> None:
    forget = backup()
    a = installed(shop, "A")
    shop.cut("A", is_base=False)
    a.install()
    files = files_of("A")
    forget()
    with pytest.raises(Problem, match="journal_behind"):
        send_layers(shop, a, files)  # it includes entries that are not told again yet: it will be asked for again
    rewind(a)
    send_layers(shop, a, files)
    assert sorted(files_of("A")) == [1, 2]
    assert shop.account().outstanding_minor == 100


def test_nothing_is_authorized_settled_or_claimed_meanwhile(shop: Shop) -> None:
    a = shop.lanes["A"]
    with transaction(shop.backend.database):
        recovery.begin(recovery.BY_OPERATOR, now_s=shop.clock.now_s)
    with pytest.raises(Problem) as refused:
        a.ask(a.request(10, a.new_sale()))
    assert (refused.value.problem, refused.value.retry_after_s) == ("recovering", recovery.AGAIN_S)
    with pytest.raises(Problem, match="recovering"):
        shop.backend.claim("CFC1:")


def test_it_ends_by_itself_when_the_last_lane_has_reported(shop: Shop) -> None:
    a, b = installed(shop, "A"), shop.lanes["B"]
    with transaction(shop.backend.database):
        recovery.begin(recovery.BY_OPERATOR, now_s=shop.clock.now_s)
    heartbeat(shop, a)
    assert list(recovery.missing()) == ["B"]
    shop.backend.refresh_snapshots()
    assert recovery.started_at() is not None
    heartbeat(shop, b)
    assert shop.backend.refresh_snapshots() > 0
    assert recovery.started_at() is None


@pytest.mark.parametrize("told_by", ["the operator", "a lane"])
def test_what_lanes_told_before_a_backup_was_made_is_no_report_of_what_was_forgotten_since(
    shop: Shop, backup: Callable[[], Forget], told_by: str
) -> None:
    """The backup is made while the backend recovers and A has reported. Then B reports too, A gets a lease of 100, is
    cut off and sells for 60; the backup is put back, and only B is heard: 100 are granted to B, 160 of 100."""
    a, b = shop.lanes["A"], shop.lanes["B"]
    with transaction(shop.backend.database):
        recovery.begin(recovery.BY_OPERATOR, now_s=shop.clock.now_s)
    heartbeat(shop, a)
    forget = backup()
    heartbeat(shop, b)
    assert shop.backend.refresh_snapshots() == 2
    a.install()
    a.stand_in(60)
    b.install()
    b.upload()
    shop.clock.now_s += 60
    forget()
    if told_by == "the operator":
        with transaction(shop.backend.database):
            recovery.begin(recovery.BY_OPERATOR, now_s=shop.clock.now_s)
    heartbeat(shop, b)
    rewind(b)
    assert list(recovery.missing()) == ["A", "B"]
    assert shop.backend.refresh_snapshots() == 0


def test_a_lane_has_not_reported_before_all_that_it_had_acknowledged_is_posted(
    shop: Shop, backup: Callable[[], Forget]
) -> None:
    a = installed(shop, "A")
    forget = backup()
    a.stand_in(60)
    a.upload()
    forget()
    heartbeat(shop, a)
    heartbeat(shop, shop.lanes["B"])
    assert list(recovery.missing()) == ["A"]
    rewind(a)
    shop.backend.refresh_snapshots()
    assert recovery.started_at() is None
    assert shop.account().held_minor == 60


def test_a_lane_that_stays_silent_is_waited_for_until_it_is_written_off(shop: Shop) -> None:
    with transaction(shop.backend.database):
        recovery.begin(recovery.BY_OPERATOR, now_s=shop.clock.now_s)
    heartbeat(shop, shop.lanes["A"])
    shop.clock.now_s += 30 * 86_400
    shop.backend.refresh_snapshots()
    assert list(recovery.missing()) == ["B"]
    with transaction(shop.backend.database):
        assert recovery.write_off("B") == 1
    shop.backend.refresh_snapshots()
    assert recovery.started_at() is None


def test_a_replaced_device_is_not_waited_for_because_no_lease_of_its_epoch_can_be_forgotten(shop: Shop) -> None:
    a = installed(shop, "A")
    replace(shop, a)
    with transaction(shop.backend.database):
        recovery.begin(recovery.BY_OPERATOR, now_s=shop.clock.now_s)
    assert list(recovery.missing()) == ["A", "B"], "the new device of A, and B"


def test_new_layers_lie_above_everything_that_a_lane_has_told_of(shop: Shop, backup: Callable[[], Forget]) -> None:
    forget = backup()
    a = installed(shop, "A")
    shop.cut("A")
    a.install()
    a.upload()
    forget()
    heartbeat(shop, a)
    with transaction(shop.backend.database):
        recovery.write_off("A")
    assert shop.cut("A") == 3


@pytest.mark.parametrize(
    ("lane", "sequence", "problem"),
    [("B", 1, "layer_untrusted"), ("A", 2, "layer_untrusted")],
    ids=["of another lane", "of another sequence"],
)
def test_a_layer_counts_only_for_the_lane_and_sequence_that_it_was_signed_for(
    shop: Shop, backup: Callable[[], Forget], lane: str, sequence: int, problem: str
) -> None:
    forget = backup()
    shop.cut("A")
    files = files_of("A")
    forget()
    with pytest.raises(Problem, match=problem):
        shop.backend.take_layer(lane, LENDER, sequence, files[1])
    assert LeaseGrant.select().count() == 0


@pytest.mark.parametrize("place", [0, 5_000, -40])
def test_a_layer_that_is_not_as_it_was_signed_grants_nothing(
    shop: Shop, backup: Callable[[], Forget], place: int
) -> None:
    forget = backup()
    shop.cut("A")
    data = bytearray(files_of("A")[1])
    forget()
    data[place] ^= 1
    for damaged in (bytes(data), b"", cbor.encode([])):
        with pytest.raises(Problem, match="layer_untrusted"):
            shop.backend.take_layer("A", LENDER, 1, damaged)
    assert LeaseGrant.select().count() == 0


def test_a_layer_that_is_sent_twice_is_granted_once_and_another_under_its_number_is_a_conflict(
    shop: Shop, backup: Callable[[], Forget]
) -> None:
    forget = backup()
    shop.cut("A")
    data = files_of("A")[1]
    forget()
    for _ in range(2):
        shop.backend.take_layer("A", LENDER, 1, data)
    assert shop.account().outstanding_minor == 100
    other = SnapshotLayer.update(digest=bytes(32)).where(SnapshotLayer.sequence == 1)
    other.execute()
    with pytest.raises(Problem, match="layer_conflict"):
        shop.backend.take_layer("A", LENDER, 1, data)


def claims_more(shop: Shop, times: int) -> list[int | None]:
    """Lane A says so often that more was acknowledged than is stored; since when the backend recovers after each."""
    a, found = shop.lanes["A"], []
    for number in range(1, times + 1):
        shop.clock.now_s += 1
        a.sent = number * 1_000
        heartbeat(shop, a)
        found.append(recovery.started_at())
        with transaction(shop.backend.database):
            Recovery.update(ended_at=shop.clock.now_s).execute()
    return found


def test_one_lanes_word_begins_a_recovery_a_few_times_a_day_and_the_operator_is_told_whose(shop: Shop) -> None:
    found = claims_more(shop, 5)
    assert [since is not None for since in found] == [True, True, True, False, False]
    assert restoring.show(shop.backend)["not_believed"] == ["A"]
    shop.clock.now_s += recovery.LANE_WINDOW_S
    assert claims_more(shop, 2)[1] is not None, "another day"
    assert restoring.show(shop.backend)["not_believed"] == []


def test_a_lane_whose_word_begins_nothing_any_more_is_heard_when_the_operator_has_begun_it(
    shop: Shop, backup: Callable[[], Forget]
) -> None:
    """It is waited for; not to hear it would keep everybody waiting for a day, whatever the operator does."""
    a = installed(shop, "A")
    claims_more(shop, recovery.LANE_BEGINS_MAX)
    with transaction(shop.backend.database):
        LaneReport.delete().execute()
    a.sent = a.head.number
    forget = backup()
    a.stand_in(60)
    a.upload()
    forget()
    heartbeat(shop, a)
    assert recovery.started_at() is None, "it has said so too often"
    shop.clock.now_s += 1
    restoring.begin(shop.backend, reason=recovery.BY_OPERATOR)
    heartbeat(shop, shop.lanes["B"])
    heartbeat(shop, a)
    rewind(a)
    assert list(recovery.missing()) == []
    assert shop.account().held_minor == 60


def test_the_operator_is_told_on_whose_word_the_backend_recovers(shop: Shop) -> None:
    shop.lanes["A"].sent = 1_000
    heartbeat(shop, shop.lanes["A"])
    shown = restoring.show(shop.backend)
    assert (shown["begun_by"], shown["reason"]) == ("A", "journal_forgotten")


def test_a_layer_of_a_lender_that_is_not_here_begins_no_recovery(shop: Shop) -> None:
    heartbeat(shop, shop.lanes["A"], others={"nobody": InForce(7, bytes(32), 1, 1)})
    assert recovery.started_at() is None
    assert list(recovery.wanted("A")) == []
