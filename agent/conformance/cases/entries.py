"""Single entries of a journal: what is one, what is set aside, what is kept, byte for byte."""

from __future__ import annotations

from dataclasses import replace

from agent.conformance import forgery
from agent.conformance.case import Group
from agent.conformance.exchange import Broken
from agent.conformance.lane import Lane, b64url
from agent.conformance.world import World
from agent.core import cbor, journal
from agent.core.journal import Head, Sealed

GROUP = Group("entries")


@GROUP.case("J-07", "an entry of unknown kind is stored and set aside, and the next one goes on")
def unknown_kind(world: World) -> None:
    lane = world.lane()
    lane.write("teleport", {"to": "moon", "deep": [{"a": [1, b"\x00", None, True]}]})
    lane.fill()
    rows = lane.send()
    if [row["result"].replace("duplicate", "accepted") for row in rows] != ["parked", "accepted"]:
        raise Broken("results parked, accepted", sent="POST /v1/journal", came=str(rows))


@GROUP.case("J-08", "fields that nobody knows do not hurt an entry")
def unknown_fields(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    world.lease(lane, phone)
    lane.stand_in(phone, 100, loyalty={"points": 3, "tags": ["a", "b"]}, seal=b"\xff" * 40)
    if lane.send()[-1]["result"] not in ("accepted", "duplicate"):
        raise Broken("the result accepted")


@GROUP.case("J-09", "an entry that cannot be posted is parked with a reason and stops none behind it")
def poisoned(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    world.lease(lane, phone)
    lane.capture(phone, 5, lane.new_sale())
    lane.stand_in(phone, 100, amount_minor=-5)
    lane.stand_in(phone, 100, currency="XTS")
    lane.stand_in(phone, 100, account=b"short")
    lane.write("authorization", {}, lender=phone.lender, sale_id=lane.new_sale())
    lane.write("lease_return", {"account": phone.account, "lease": "all of it"}, lender=phone.lender)
    lane.write("snapshot_installed", {"sequence": 10**9, "digest": bytes(32)}, lender=phone.lender)
    lane.stand_in(phone, 100)
    rows = lane.send()
    results = [row["result"].replace("duplicate", "accepted") for row in rows]
    if results != ["parked"] * 7 + ["accepted"] or not all(row.get("reason") for row in rows[:-1]):
        raise Broken("seven entries parked, each with a reason, and the last one accepted", came=str(rows))


@GROUP.case("J-12", "bytes whose place in the chain cannot be read are refused")
def no_entry(world: World) -> None:
    lane = world.lane()
    lane.fill()
    good = lane.pending()[0]
    for data in (b"", b"\x80", b"\xff", cbor.encode([1, 2]), cbor.encode({"a": 1}), forgery.variant(good, version=2),
                 forgery.variant(good, recorded_at=-1), forgery.variant(good, previous=b"short"),
                 forgery.variant(good, clock=[1, 1]), good.data[:40]):  # fmt: skip
        forgery.post(lane, lane.sent + 1, [data]).problem(422, "journal_malformed")
    lane.send()


@GROUP.case("J-12", "what is unreadable behind its place is refused, or stored and set aside")
def unreadable(world: World) -> None:
    lane = world.fresh_lane()
    lane.send()
    for spoil in (lambda good: good.data + b"\x00", lambda good: forgery.variant(good, kind="k" * 65),
                  lambda good: forgery.variant(good, lender=7), lambda good: good.data[:-1] + b"\xff"):  # fmt: skip
        before = lane.head
        lane.fill()
        good = lane.entries.pop()
        data = spoil(good)
        exchange = forgery.post(lane, lane.sent + 1, [data])
        lane.head = before
        if exchange.status != 200:
            exchange.problem(422, "journal_malformed")
            continue
        lane.head = Head(lane.name, before.epoch, good.entry.number, journal.digest(data), before.horizons)
        lane.entries.append(Sealed(good.entry, data, lane.head.hash))
        exchange.demand(lane.send()[-1]["result"] == "parked", "422 journal_malformed, or stored and parked")
    lane.fill()
    lane.send()


@GROUP.case("J-13", "an entry in another encoding than the one of its value is refused")
def not_canonical(world: World) -> None:
    lane = world.lane()
    lane.fill()
    data = lane.pending()[0].data
    long_form = b"\x98\x0d" + data[1:]  # the array's head in two bytes instead of one
    indefinite = b"\x9f" + data[1:] + b"\xff"
    for other in (long_form, indefinite):
        forgery.post(lane, lane.sent + 1, [other]).problem(422, "journal_malformed")
    lane.send()


@GROUP.case("J-14", "an entry of another lane or epoch, or out of order, is refused")
def other_place(world: World) -> None:
    lane = world.lane()
    lane.fill(2)
    one, two = lane.pending()
    for entries in ([forgery.variant(one, lane="another-lane")], [forgery.variant(one, epoch=lane.head.epoch + 1)],
                    [two.data, one.data], [forgery.variant(one, number=one.entry.number + 1)]):  # fmt: skip
        forgery.post(lane, lane.sent + 1, entries).problem(422, "journal_malformed")
    lane.send()


@GROUP.case("J-15", "an entry that lowers its lender's lease horizon is told to people")
def lower_horizon(world: World) -> None:
    lane = world.fresh_lane()
    lane.fill(lender=world.lender, horizon_s=1_000)
    lane.fill()
    lane.head = replace(lane.head, horizons={})
    lane.fill(lender=world.lender, horizon_s=999)
    lane.fill(lender=world.lender, horizon_s=1_000)
    rows = lane.send()
    told = [":".join(filter(None, (row["result"], row.get("reason")))) for row in rows][-4:]
    if told != ["accepted", "accepted", "disputed:horizon_lowered", "accepted"]:
        raise Broken("accepted, and disputed: horizon_lowered for the third entry alone", came=str(rows))


@GROUP.case("J-20", "an entry may have 64 KiB and no more")
def entry_size(world: World) -> None:
    lane = world.lane()
    lane.write("teleport", {"note": b"\x00" * 65_000})
    lane.send()
    lane.fill()
    too_long = forgery.variant(lane.pending()[0], body={"note": b"\x00" * 66_000})
    forgery.post(lane, lane.sent + 1, [too_long]).problem(422, "journal_malformed")
    lane.send()


@GROUP.case("J-21", "what is stored are the bytes that were sent")
def bytes_kept(world: World) -> None:
    """A backend that re-encodes cannot continue the chain behind an entry that its own encoder writes differently."""
    lane = world.lane()
    lane.write("teleport", {"z": 1, "a": {"ü": "é\u0301", "b": [None, False]}, "blob": bytes(range(256))})
    lane.fill()
    lane.send()
    head = b64url(lane.head.hash)
    answer = lane.line.post("/v1/settlements", _settlement(lane, world.lender, lane.head.number))
    fields = answer.ok()
    answer.demand(fields.get("chain_head") == head, f"chain_head {head}")
    lane.write("teleport", {"again": True})
    lane.send()


def _settlement(lane: Lane, lender: str, last_number: int) -> dict[str, object]:
    zero = {"count": 0, "minor": 0}
    names = ("approved", "declined", "captured", "reversed", "stand_in")
    body = {"lender": lender, "epoch": lane.head.epoch, "batch": 500_000 + lane.head.number, "first_number": 1}
    head = b64url(lane.entries[last_number - 1].hash)
    return body | {"last_number": last_number, "chain_head": head, "totals": dict.fromkeys(names, zero)}


@GROUP.case("J-22", "a lender that is not served here parks the entry")
def other_lender(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    body = lane.facts(phone, 100, funding="cap", lease=None) | lane.decided()
    lane.write("authorization", body, lender="nobody", sale_id=lane.new_sale())
    row = lane.send()[-1]
    if (row["result"], row.get("reason")) != ("parked", "lender_unknown"):
        raise Broken("parked: lender_unknown", sent="POST /v1/journal", came=str(row))


@GROUP.case("J-24", "what was disputed is told again with the duplicate")
def dispute_told_again(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    lease = world.lease(lane, phone)
    lane.stand_in(phone, lease.granted_minor + 5)
    first = lane.sent + 1
    lane.send()
    exchange = lane.upload(first)
    row = lane.results(exchange)[0]
    exchange.demand((row["result"], row.get("reason")) == ("disputed", "lease_excess"), "disputed: lease_excess again")
