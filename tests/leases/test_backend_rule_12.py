"""Rule 12 at the backend: a replacement starts a new epoch; whoever may no longer act may still drain; what a
compromised device brings is quarantined."""

import json
from typing import Any

import pytest

from backend import access, lanes, recovery
from backend.access import Access, Call
from backend.database import transaction
from backend.enrollment import NewLane, create_code
from backend.identity import LaneName
from backend.problems import Problem
from backend.schema import Certificate, Dispute
from backend.wire import Enrollment, from_b64url, read
from tests.backend.lanes import AUTHORITY, DAY_S, PaperLane, Shop
from tests.backend.test_enrollment import request
from tests.leases.devices import NEXT_KEY, begin, confirm_restored, replace


@pytest.fixture
def lane(shop: Shop) -> PaperLane:
    """Lane A has a lease of 100 and an unsent sale of 60."""
    shop.cut("A")
    shop.lanes["A"].install()
    shop.lanes["A"].upload()
    shop.lanes["A"].stand_in(60)
    return shop.lanes["A"]


def successor(shop: Shop, lane: PaperLane) -> PaperLane:
    """The lane's next device, beside the old one."""
    device = object.__new__(PaperLane)
    device.__dict__ |= lane.__dict__
    begin(device, 2, NEXT_KEY)
    return device


def linked(answer: dict[str, Any], **other: Any) -> dict[str, Any]:
    """The end of the journal before, as the first entry of a new one names it."""
    return answer["previous"] | {"hash": from_b64url(answer["previous"]["hash"])} | other


@pytest.mark.parametrize(
    "other", [{"hash": bytes(32)}, {"epoch": 2}, {"number": 0}, {"number": "1"}, {"number": 2**64 - 1}, None], ids=str
)
def test_a_journal_that_begins_upon_another_than_the_one_before_is_shown_to_people(
    shop: Shop, lane: PaperLane, other: dict[str, Any] | None
) -> None:
    answer = replace(shop, lane)
    device = successor(shop, lane)
    previous = None if other is None else linked(answer, **other)
    device.write("epoch_start", {"reason": "replaced", "previous": previous})
    assert device.upload() == ["disputed:epoch_start_mismatch"]


def test_a_replacement_starts_at_one_while_the_old_device_drains_what_it_has(shop: Shop, lane: PaperLane) -> None:
    """A's machine is swapped with an unsent sale in it: both journals come in, each by its own numbers."""
    answer = replace(shop, lane)
    assert (answer["epoch"], answer["reason"], answer["previous"]["number"]) == (2, "replaced", 1)
    device = successor(shop, lane)
    device.write("epoch_start", {"reason": "replaced", "previous": linked(answer)})
    assert device.upload() == ["accepted"]
    assert lane.upload() == ["accepted"]
    assert shop.account().held_minor == 60


def test_the_old_devices_lease_is_not_granted_to_the_new_one_before_it_has_lapsed_by_its_own_word(
    shop: Shop, lane: PaperLane
) -> None:
    replace(shop, lane)
    device = successor(shop, lane)
    shop.backend.refresh_snapshots()
    device.install()
    assert device.remaining(shop.token) == 0
    shop.clock.now_s += 3 * DAY_S
    lane.write("print", {"job_id": 1, "rung": "confirmed", "copy": False})
    lane.upload()
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (60, 0)


def test_what_a_compromised_device_brings_is_acknowledged_shown_and_moves_nothing(shop: Shop, lane: PaperLane) -> None:
    replace(shop, lane, compromised=True)
    assert lane.upload() == ["quarantined:device_compromised"]
    assert (lane.sent, shop.account().held_minor, shop.account().outstanding_minor) == (2, 0, 100)
    assert [row.reason for row in Dispute.select()] == ["device_compromised"]


def test_the_new_device_cannot_write_into_the_old_journal_nor_the_old_one_into_the_new(
    shop: Shop, lane: PaperLane
) -> None:
    replace(shop, lane)
    device = successor(shop, lane)
    device.write("epoch_start", {"reason": "replaced"})
    device.key, lane.key = lane.key, NEXT_KEY
    for other in (device, lane):
        with pytest.raises(Problem, match="upload_signature"):
            other.upload()


def test_a_lease_that_was_written_off_is_free_and_what_surfaces_later_is_the_lenders_risk(
    shop: Shop, lane: PaperLane
) -> None:
    replace(shop, lane)
    with transaction(shop.backend.database):
        recovery.write_off("A", 1)
    assert shop.account().outstanding_minor == 0
    assert lane.upload() == ["disputed:lease_excess"]
    assert shop.account().held_minor == 0


@pytest.mark.parametrize("compromised", [False, True], ids=["forked", "compromised"])
def test_what_is_written_off_stays_in_quarantine(shop: Shop, lane: PaperLane, compromised: bool) -> None:
    """The thief sold 60 before the device was missed. Its leases are given up; then it gives the goods back on paper,
    to see its debt gone."""
    sale = "sale-A-0001"
    lane.capture(60, sale)
    assert lane.upload() == ["accepted", "accepted"]
    if compromised:
        with transaction(shop.backend.database):
            access.revoke("A", compromised=True)
    else:
        confirm_restored(shop, lane)
    reason = "device_compromised" if compromised else "journal_forked"
    lane.stand_in(10)
    assert lane.upload() == [f"quarantined:{reason}"]
    with transaction(shop.backend.database):
        recovery.write_off("A", 1)
        recovery.write_off("A", 1)
    lane.write("refund", {"amount_minor": 60, "currency": "CNY"}, sale)
    assert lane.upload() == [f"quarantined:{reason}"]
    assert (shop.account().used_minor, shop.account().outstanding_minor) == (60, 0)


def test_a_device_that_was_replaced_honestly_can_still_be_called_stolen(shop: Shop, lane: PaperLane) -> None:
    """A's machine is swapped, and carried off a week later with a queue in it that nobody vouches for any more."""
    replace(shop, lane)
    assert lane.upload() == ["accepted"]
    with transaction(shop.backend.database):
        assert access.revoke("A", compromised=True, epoch=1) == [1]
    lane.stand_in(10)
    assert lane.upload() == ["quarantined:device_compromised"]
    assert (shop.account().held_minor, lanes.journal("A", 2).state) == (60, lanes.OPEN)


def test_a_fork_stays_a_fork_when_another_device_takes_the_lane_over(shop: Shop, lane: PaperLane) -> None:
    """Nobody stole anything: the ledger forked, an operator confirmed, and years later the machine was swapped."""
    confirm_restored(shop, lane)
    replace(shop, lane)
    assert lane.upload() == ["quarantined:journal_forked"]


def test_a_text_that_postgresql_cannot_keep_is_quarantined_like_any_other(shop: Shop, lane: PaperLane) -> None:
    replace(shop, lane, compromised=True)
    lane.stand_in(10, "sale\0-0002")
    assert lane.upload() == ["quarantined:device_compromised"] * 2
    assert {row.sale_id for row in Dispute.select()} == {"sale-A-0001", "sale?-0002"}


# --- who may make which call ----------------------------------------------------------------------------------------
ENDS_AT = 1_800_000_000 + 365 * DAY_S


def named(serial: str | None = None) -> LaneName:
    return LaneName("A", "merchant-1", "store-1", serial, ENDS_AT)


def may(shop: Shop, name: LaneName, *, now_s: int | None = None) -> set[Call]:
    allowed = set()
    for call in Call:
        try:
            access.admit(name, call, now_s=now_s or shop.clock.now_s)
            allowed.add(call)
        except Problem:
            continue
    return allowed


def refusal(shop: Shop, name: LaneName, call: Call = Call.OTHER, *, now_s: int | None = None) -> str:
    with pytest.raises(Problem) as refused:
        access.admit(name, call, now_s=now_s or shop.clock.now_s)
    return refused.value.problem


def first_certificate(shop: Shop) -> LaneName:
    """The certificate that lane A's first device had."""
    with transaction(shop.backend.database):
        Certificate.create(lane="A", serial="ab12", epoch=1, request_hash=bytes(32), pem=b"", expires_at=ENDS_AT)
    return named("ab12")


def test_the_present_device_may_do_everything(shop: Shop, lane: PaperLane) -> None:
    assert may(shop, first_certificate(shop)) == set(Call)


@pytest.mark.parametrize("compromised", [False, True])
def test_a_replaced_device_may_only_drain_and_learns_why(shop: Shop, lane: PaperLane, compromised: bool) -> None:
    old = first_certificate(shop)
    replace(shop, lane, compromised=compromised)
    assert may(shop, old) == {Call.DRAIN}
    assert refusal(shop, old) == ("lane_revoked" if compromised else "lane_replaced")
    new = named(Certificate.get(Certificate.epoch == 2).serial)
    assert may(shop, new) == set(Call)


@pytest.mark.parametrize("revoked_first", [False, True])
def test_nobody_replaces_a_compromised_device_with_its_own_journal_key(
    shop: Shop, lane: PaperLane, revoked_first: bool
) -> None:
    """Enrolled from a copy of the stolen disk; its certificate would be the present device's again."""
    old = first_certificate(shop)
    if revoked_first:
        with transaction(shop.backend.database):
            access.revoke("A", compromised=True)
    with pytest.raises(Problem, match="malformed"):
        replace(shop, lane, compromised=not revoked_first, key=lane.key)
    replace(shop, lane, compromised=True)
    assert may(shop, old) == {Call.DRAIN}


@pytest.mark.parametrize("compromised", [False, True])
def test_a_revoked_device_may_only_drain_until_it_is_replaced(shop: Shop, lane: PaperLane, compromised: bool) -> None:
    device = first_certificate(shop)
    with transaction(shop.backend.database):
        assert access.revoke("A", compromised=compromised) == [1]
    assert may(shop, device) == {Call.DRAIN}
    assert refusal(shop, device) == "lane_revoked"
    assert lane.upload() == ["quarantined:device_compromised" if compromised else "accepted"]
    assert shop.backend.refresh_snapshots() == 1, "lane B's: nothing is granted to who may not act"
    replace(shop, lane)
    assert access.of(named(Certificate.get(Certificate.epoch == 2).serial), now_s=shop.clock.now_s) is Access.FULL


def test_an_expired_certificate_drains_for_ever_and_renews_for_thirty_days(shop: Shop, lane: PaperLane) -> None:
    device = first_certificate(shop)
    assert may(shop, device, now_s=ENDS_AT - 1) == set(Call)
    assert may(shop, device, now_s=ENDS_AT) == {Call.DRAIN, Call.RENEW}
    assert may(shop, device, now_s=ENDS_AT + 30 * DAY_S) == {Call.DRAIN}
    assert refusal(shop, device, Call.RENEW, now_s=ENDS_AT + 30 * DAY_S) == "certificate_expired"


def test_an_expired_certificate_of_a_revoked_device_does_not_renew(shop: Shop, lane: PaperLane) -> None:
    device = first_certificate(shop)
    with transaction(shop.backend.database):
        access.revoke("A", compromised=False)
    assert may(shop, device, now_s=ENDS_AT) == {Call.DRAIN}


def test_a_device_whose_ledger_was_restored_stays_the_lanes_device(shop: Shop, lane: PaperLane) -> None:
    device = first_certificate(shop)
    confirm_restored(shop, lane)
    assert lanes.find("A").epoch == 2
    assert may(shop, device) == set(Call)


def test_a_certificate_for_another_store_is_none_of_this_lanes(shop: Shop) -> None:
    assert refusal(shop, LaneName("A", "merchant-2", "store-1"), Call.DRAIN) == "lane_mismatch"


def test_a_code_replaces_only_the_device_that_it_was_made_for(shop: Shop, lane: PaperLane) -> None:
    """Two codes are made, both are used: the second would throw out the device that the first brought."""
    place = NewLane("A", "store-1", "merchant-1", "示例超市", "5411", "CNY")
    with transaction(shop.backend.database):
        code = create_code(place, AUTHORITY, now_s=shop.clock.now_s, randomness=shop.chance.randbytes, replace=True)
    replace(shop, lane)
    with pytest.raises(Problem, match="code_refused"):
        shop.backend.enroll(read(Enrollment, json.dumps(request(code)).encode()))
