"""The arithmetic of leases: what an account can spend online, at this lane, and after every entry of the journal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from agent.conformance import snapshot
from agent.conformance.case import Group
from agent.conformance.exchange import Broken
from agent.conformance.kit import Phone
from agent.conformance.lane import Lane, Lease
from agent.conformance.world import World

GROUP = Group("leases")
CLIENTS = 64


def _leased(world: World, *, least_minor: int = 400) -> tuple[Lane, Phone, Lease]:
    lane, phone = world.leasing_lane(), world.phone()
    return lane, phone, world.lease(lane, phone, least_minor=least_minor)


def _expect(rows: list[dict[str, object]], *expected: str) -> None:
    """Results of an upload's last entries, as result or result:reason; a dispute is named with its bearer."""
    found = [":".join(str(row[name]) for name in ("result", "reason") if row.get(name)) for row in rows]
    found = [text.replace("duplicate", "accepted") for text in found][-len(expected) :]
    if found != list(expected):
        raise Broken(f"results {', '.join(expected)}", sent="POST /v1/journal", came=str(rows))


def _debit(lease: Lease, minor: int) -> dict[str, int]:
    return {"epoch": lease.epoch, "debit_minor": minor}


@GROUP.case("L-01", "a stand-in approval within the lease is accepted")
def within(world: World) -> None:
    lane, phone, lease = _leased(world)
    lane.stand_in(phone, lease.granted_minor)
    _expect(lane.send(), "accepted")


@GROUP.case("L-02", "what goes beyond the lease is disputed, and nothing more is")
def beyond(world: World) -> None:
    lane, phone, lease = _leased(world)
    lane.stand_in(phone, lease.granted_minor - 10)
    lane.stand_in(phone, 30)
    lane.stand_in(phone, 1)
    rows = lane.send()
    _expect(rows, "accepted", "disputed:lease_excess", "disputed:lease_excess")
    if rows[-1].get("bearer") != "lender":
        raise Broken("the bearer lender in a disputed result", sent="POST /v1/journal", came=str(rows[-1]))


@GROUP.case("L-03", "an online approval takes from the lease no more than the debit that was reserved")
def online_debit(world: World) -> None:
    lane, phone, lease = _leased(world)
    for amount_minor, debit_minor in ((150, 100), (50, 50), (40, 0)):
        offered = _debit(lease, debit_minor) if debit_minor else None
        sale_id, answer = lane.buy(phone, amount_minor, lease=offered)
        used = answer["lease_used_minor"]
        if not answer["approved"] or not 0 <= used <= min(debit_minor, amount_minor):
            raise Broken(f"an approval with lease_used_minor of at most {debit_minor}", came=str(answer))
        lane.outcome(phone, amount_minor, sale_id, used_minor=used)
    _expect(lane.send(), "accepted")


@GROUP.case("L-04", "what an online approval took of the lease cannot be spent again")
def online_then_alone(world: World) -> None:
    lane, phone, lease = _leased(world)
    sale_id, answer = lane.buy(phone, 200, lease=_debit(lease, 200))
    used = answer["lease_used_minor"]
    lane.outcome(phone, 200, sale_id, used_minor=used)
    lane.stand_in(phone, lease.granted_minor - used)
    lane.stand_in(phone, 1)
    _expect(lane.send(), "accepted", "accepted", "disputed:lease_excess")


@GROUP.case("L-05", "a debit of another epoch counts for nothing")
def other_epochs_debit(world: World) -> None:
    lane, phone, lease = _leased(world)
    sale_id, answer = lane.buy(phone, 100, lease={"epoch": lease.epoch + 9, "debit_minor": 100})
    if answer["lease_used_minor"] != 0:
        raise Broken("lease_used_minor 0", sent="a debit of an epoch that is not open", came=str(answer))
    lane.outcome(phone, 100, sale_id)


@GROUP.case("L-06", "a spend of another epoch's lease is set aside")
def closed_epoch(world: World) -> None:
    lane, phone, lease = _leased(world)
    lane.stand_in(phone, 100, lease={"epoch": lease.epoch + 9, "delta_minor": 100})
    lane.stand_in(phone, lease.granted_minor)
    _expect(lane.send(), "parked:lease_epoch_closed", "accepted")


@GROUP.case("L-07", "what a lane gives back is subtracted from its lease")
def given_back(world: World) -> None:
    lane, phone, lease = _leased(world)
    lane.give_back(phone, lease.granted_minor - 100)
    lane.stand_in(phone, 100)
    lane.stand_in(phone, 1)
    _expect(lane.send(), "accepted", "accepted", "disputed:lease_excess")


@GROUP.case("L-07", "more than the lease cannot be given back")
def too_much_back(world: World) -> None:
    lane, phone, lease = _leased(world)
    lane.give_back(phone, lease.granted_minor + 50)
    _expect(lane.send(), "disputed:lease_return_excess")


@GROUP.case("L-08", "a reversal restores what the sale took of the lease")
def reversal_restores(world: World) -> None:
    lane, phone, lease = _leased(world)
    sale_id = lane.stand_in(phone, lease.granted_minor)
    lane.reverse(phone, lease.granted_minor, sale_id, restored_minor=lease.granted_minor)
    lane.stand_in(phone, lease.granted_minor)
    _expect(lane.send(), "accepted", "accepted", "accepted")


@GROUP.case("L-08", "a reversal restores no more than the sale took")
def reversal_restores_no_more(world: World) -> None:
    lane, phone, lease = _leased(world)
    sale_id, answer = lane.buy(phone, 100)
    if not answer["approved"]:
        raise Broken("an approval", came=str(answer))
    lane.outcome(phone, 100, sale_id)
    lane.reverse(phone, 100, sale_id, restored_minor=100)
    lane.stand_in(phone, lease.granted_minor)
    lane.stand_in(phone, 1)
    _expect(lane.send(), "disputed:lease_restore_excess", "accepted", "disputed:lease_excess")


@GROUP.case("L-09", "a lease that the lane's own horizon has passed is over")
def lapsed(world: World) -> None:
    lane = world.fresh_lane()
    world.install(lane)
    phone = world.phone()
    lease = world.lease(lane, phone)
    lane.fill(lender=phone.lender, horizon_s=lease.valid_until_s)
    lane.send()
    lane.stand_in(phone, 100)
    _expect(lane.send(), "disputed:lease_excess")


@GROUP.case("L-22", "a horizon of no lender, or of another one, ends no lease")
def lapsed_elsewhere(world: World) -> None:
    lane = world.fresh_lane()
    world.install(lane)
    phone = world.phone()
    lease = world.lease(lane, phone)
    lane.fill(horizon_s=lease.valid_until_s)
    others = [lender for lender in world.kit.lenders if lender != phone.lender]
    for other in others[:1]:
        lane.fill(lender=other, horizon_s=lease.valid_until_s)
    lane.send()
    lane.stand_in(phone, 100)
    _expect(lane.send(), "accepted")


@GROUP.case("L-10", "credit that is leased to a lane cannot be spent online without its debit")
def leased_is_taken(world: World) -> None:
    lane, phone, _ = _leased(world)
    sale_id, answer = lane.buy(phone, phone.limit_minor)
    if answer["approved"]:
        raise Broken(f"a decline: {phone.limit_minor} minor units less the leases are available", came=str(answer))
    lane.decline(phone, phone.limit_minor, sale_id)


@GROUP.case("L-10", "many clients at once never raise an account above its limit")
def concurrency(world: World) -> None:
    lanes, phone = [world.lane() for _ in range(4)], world.phone()
    amount_minor = phone.limit_minor // 8
    bodies = []
    for number in range(CLIENTS):
        lane = lanes[number % len(lanes)]
        sale_id = lane.new_sale()
        lane.intend(phone, amount_minor, sale_id)
        bodies.append((lane, sale_id, lane.request(phone, amount_minor, sale_id)))
    with ThreadPoolExecutor(CLIENTS) as pool:
        exchanges = list(pool.map(lambda row: row[0].ask(row[2]), bodies))
    approved = 0
    for (lane, sale_id, body), first in zip(bodies, exchanges, strict=True):
        exchange = lane.ask(body) if first.status in (429, 503) else first
        if exchange.ok()["approved"]:
            approved += 1
            lane.outcome(phone, amount_minor, sale_id)
        else:
            lane.decline(phone, amount_minor, sale_id)
    if not 1 <= approved <= 8:
        raise Broken(f"1 to 8 approvals of {amount_minor} for a limit of {phone.limit_minor}", came=str(approved))
    for lane in lanes:
        lane.send()


def _large_sale(world: World) -> tuple[Lane, Phone, int, str]:
    """A lane, a phone, and a sale that was approved online: of that amount the limit cannot bear two."""
    lane, phone = world.lane(), world.phone()
    large_minor = phone.limit_minor * 3 // 4
    sale_id, answer = lane.buy(phone, large_minor)
    if not answer["approved"]:
        raise Broken("an approval", came=str(answer))
    return lane, phone, large_minor, sale_id


@GROUP.case("L-11", "the lane's decline undoes what was approved online")
def lane_declined(world: World) -> None:
    lane, phone, large_minor, sale_id = _large_sale(world)
    if lane.is_approved(phone, large_minor):
        raise Broken(f"a decline while {large_minor} are held")
    lane.decline(phone, large_minor, sale_id)
    lane.send()
    if not lane.is_approved(phone, large_minor):
        raise Broken(f"an approval of {large_minor}: the hold was reversed by the lane's decline")


@GROUP.case("L-12", "a reversal makes the credit available again")
def reversed_(world: World) -> None:
    lane, phone, large_minor, sale_id = _large_sale(world)
    lane.outcome(phone, large_minor, sale_id)
    lane.reverse(phone, large_minor, sale_id)
    lane.send()
    if not lane.is_approved(phone, large_minor):
        raise Broken(f"an approval of {large_minor}: the sale before was reversed")


@GROUP.case("L-13", "a capture turns the hold into a debt, which no reversal frees")
def captured(world: World) -> None:
    lane, phone, large_minor, sale_id = _large_sale(world)
    lane.outcome(phone, large_minor, sale_id)
    lane.capture(phone, large_minor, sale_id)
    lane.reverse(phone, large_minor, sale_id)
    _expect(lane.send(), "accepted", "parked:hold_captured")
    if lane.is_approved(phone, large_minor):
        raise Broken(f"a decline while {large_minor} are owed")


@GROUP.case("L-13", "more than the hold cannot be captured")
def captured_too_much(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    sale_id, _ = lane.buy(phone, 100)
    lane.outcome(phone, 100, sale_id)
    lane.capture(phone, 101, sale_id)
    lane.capture(phone, 100, sale_id)
    _expect(lane.send(), "parked:capture_exceeds_hold", "accepted")


@GROUP.case("L-14", "an approval that the lane calls online, and nobody gave, is disputed")
def never_answered(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    sale_id = lane.new_sale()
    lane.intend(phone, 100, sale_id)
    lane.outcome(phone, 100, sale_id)
    _expect(lane.send(), "accepted", "disputed:online_not_answered")


@GROUP.case("L-15", "the pass's own cap is not for an account that the snapshot has a record of")
def cap_with_record(world: World) -> None:
    lane, phone, _ = _leased(world)
    lane.stand_in(phone, 100, funding="cap", lease=None)
    _expect(lane.send(), "disputed:cap_with_record")


@GROUP.case("L-15", "the cap of a pass is accepted at a lane that has no snapshot")
def cap(world: World) -> None:
    lane, phone = world.fresh_lane(), world.phone()
    lane.stand_in(phone, 100, funding="cap", lease=None)
    _expect(lane.send(), "accepted")


@GROUP.case("L-16", "no snapshot grants more than the account's limit")
def grants(world: World) -> None:
    lane = world.leasing_lane()
    for phone in world.kit.phones:
        lease = world.installed(lane).lease(phone.account, lane)
        if lease is not None and lease.granted_minor > phone.limit_minor:
            raise Broken(f"a lease of at most {phone.limit_minor}", came=str(lease.granted_minor))


@GROUP.case("L-17", "both approved: one hold, and what the lane says it took of its lease")
def both_approved(world: World) -> None:
    lane, phone, lease = _leased(world)
    sale_id, answer = lane.buy(phone, 100, lease=_debit(lease, 100))
    if not answer["approved"]:
        raise Broken("an approval", came=str(answer))
    lane.stand_in(phone, 100, sale_id)  # the answer was lost
    lane.stand_in(phone, lease.granted_minor - 100)
    lane.stand_in(phone, 1)
    _expect(lane.send(), "accepted", "accepted", "accepted", "disputed:lease_excess")


@GROUP.case("L-18", "a sale that is approved twice is disputed")
def approved_twice(world: World) -> None:
    lane, phone, _ = _leased(world)
    sale_id = lane.stand_in(phone, 100)
    lane.stand_in(phone, 100, sale_id, attempt=2)
    _expect(lane.send(), "accepted", "disputed:sale_approved_twice")


@GROUP.case("L-19", "a pass whose proof paid before is disputed")
def proof_twice(world: World) -> None:
    lane, phone, _ = _leased(world)
    cti = b"\x01" + phone.account[:7]
    lane.stand_in(phone, 100, cti=cti)
    lane.stand_in(phone, 100, cti=cti)
    _expect(lane.send(), "accepted", "disputed:proof_replayed")


@GROUP.case("L-23", "a lane that is short of an account's credit is cut a layer with the account")
def asked_for_more(world: World) -> None:
    lane, phone, lease = _leased(world)
    before = snapshot.newest(lane, phone.lender)
    lane.stand_in(phone, lease.granted_minor - 100)
    lane.ask_for_more(phone, 100)
    _expect(lane.send(), "accepted", "accepted")
    again = world.install(lane, above=before).lease(phone.account, lane)
    if again is None:
        raise Broken("a layer that has the account in it", sent="an entry lease_request", came="one without")
    if left_minor := lane.left(again):  # the layer may have been begun before the sale was posted
        lane.stand_in(phone, left_minor)
        _expect(lane.send(), "accepted")


@GROUP.case("L-20", "after a limit cut nothing more is approved", needs=("set_limit",))
def limit_cut(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    if not lane.is_approved(phone, 200):
        raise Broken("an approval")
    world.hook("set_limit", lender=phone.lender, account=phone.account.hex(), limit_minor=100)
    if lane.is_approved(phone, 1):
        raise Broken("a decline: used, held and leased are above the new limit")


@GROUP.case("L-20", "a limit cut takes back nothing that was promised before", needs=("set_limit",))
def promised_before_the_cut(world: World) -> None:
    lane, phone, lease = _leased(world)
    sale_id, answer = lane.buy(phone, 200)
    if not answer["approved"]:
        raise Broken("an approval", came=str(answer))
    world.hook("set_limit", lender=phone.lender, account=phone.account.hex(), limit_minor=100)
    lane.outcome(phone, 200, sale_id)
    lane.stand_in(phone, lease.granted_minor)
    _expect(lane.send(), "accepted", "accepted")
