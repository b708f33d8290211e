"""Store and forward: numbers, chain, signature, what is stored, what is set aside, and what is acknowledged."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor

import zstandard

from agent.conformance.case import Group
from agent.conformance.exchange import Broken, Exchange
from agent.conformance.lane import Lane, b64url
from agent.conformance.line import encode
from agent.conformance.world import World
from agent.core import cbor, cose, journal
from agent.core.cose import SigningKey
from agent.core.journal import Head, Sealed

GROUP = Group("journal")
PRINTED = {"job_id": 1, "rung": "confirmed", "copy": False}


def _print(lane: Lane, count: int = 1) -> None:
    for _ in range(count):
        lane.write("print", PRINTED, lender=None)


def _acknowledged(exchange: Exchange, number: int) -> None:
    fields = exchange.ok()
    exchange.demand(fields.get("acknowledged_through") == number, f"acknowledged_through {number}")


def _post(lane: Lane, first: int, entries: list[bytes], *, count: int | None = None, key: SigningKey | None = None,
          typ: str = journal.UPLOAD_TYP) -> Exchange:  # fmt: skip
    """An upload of whatever bytes, signed as if they were entries."""
    digest = journal.digest(entries[-1])
    end = Head(lane.name, lane.head.epoch, first + len(entries) - 1, digest)
    statement = journal.upload_statement(end, first, len(entries) if count is None else count)
    signature = cose.sign1(statement, key or lane.key, typ=typ)
    body = {"lane": lane.name, "epoch": lane.head.epoch, "first": first}
    body |= {"entries": [b64url(data) for data in entries], "signature": b64url(signature)}
    return lane.line.post("/v1/journal", body)


def _variant(sealed: Sealed, **other: object) -> bytes:
    """The entry with other fields, encoded anew."""
    entry = sealed.entry
    fields = {name: getattr(entry, name) for name in entry.__dataclass_fields__} | other
    fields["clock"], fields["body"] = list(fields["clock"]), dict(fields["body"])
    return cbor.encode(list(fields.values()))


@GROUP.case("J-01", "an upload is acknowledged through its last entry, with a result for each")
def acknowledged(world: World) -> None:
    lane = world.lane()
    first = lane.head.number + 1
    _print(lane, 3)
    exchange = lane.upload()
    _acknowledged(exchange, lane.head.number)
    numbers = [row.get("number") for row in lane.results(exchange)]
    exchange.demand(numbers == [first, first + 1, first + 2], f"results for {first} to {first + 2}, in order")
    lane.sent = lane.head.number


@GROUP.case("J-02", "the answer says how far the entries are posted, which is never beyond what is stored")
def posted(world: World) -> None:
    lane = world.lane()
    _print(lane)
    exchange = lane.upload()
    fields = exchange.ok()
    through = fields.get("posted_through")
    exchange.demand(type(through) is int, "posted_through: a number")
    exchange.demand(0 <= int(str(through)) <= fields["acknowledged_through"], "posted_through at or below acknowledged")
    lane.send()


@GROUP.case("J-03", "an upload that is repeated changes nothing and is called a duplicate")
def duplicate(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    part_minor = phone.limit_minor * 2 // 5  # posted twice, it would leave too little for another one
    if not lane.is_approved(phone, part_minor):
        raise Broken(f"an approval of {part_minor}")
    lane.capture(phone, part_minor, lane.entries[-1].entry.sale_id or "")
    first = lane.sent + 1
    lane.send()
    for _ in range(2):
        exchange = lane.upload(first)
        _acknowledged(exchange, lane.head.number)
        results = {row["result"] for row in lane.results(exchange)}
        exchange.demand(results == {"duplicate"}, "the result duplicate for each entry")
    if not lane.is_approved(phone, part_minor):
        raise Broken("the sale to be counted once: as much again is within the limit")


@GROUP.case("J-04", "a gap is refused with the number that is expected")
def gap(world: World) -> None:
    lane = world.lane()
    _print(lane, 3)
    for skipped in (1, 2):
        exchange = lane.upload(lane.sent + 1 + skipped)
        members = exchange.problem(409, "journal_gap")
        exchange.demand(members.get("expected") == lane.sent + 1, f"expected {lane.sent + 1}")
    lane.send()


@GROUP.case("J-05", "other content under a number that is taken is a fork")
def fork(world: World) -> None:
    lane = world.fresh_lane()
    _print(lane)
    before = lane.head, len(lane.entries)
    _print(lane)
    lane.send()
    stored = lane.head
    lane.head, lane.entries = before[0], lane.entries[: before[1]]
    lane.write("print", PRINTED | {"job_id": 99})
    exchange = lane.upload(lane.head.number)
    members = exchange.problem(409, "journal_fork")
    exchange.demand(members.get("expected") == stored.number + 1, f"expected {stored.number + 1}")
    exchange.demand(members.get("head") == b64url(stored.hash), f"head {b64url(stored.hash)}: that of the stored entry")


@GROUP.case("J-05", "an entry that does not follow the stored hash is a fork")
def fork_ahead(world: World) -> None:
    lane = world.fresh_lane()
    _print(lane, 2)
    before = lane.entries[:1], lane.entries[0]
    lane.send()
    stored = lane.head
    lane.entries = before[0]
    lane.head = journal.advance(Head(lane.name, lane.head.epoch), before[1])
    lane.write("print", PRINTED | {"job_id": 98})
    lane.write("print", PRINTED | {"job_id": 99})
    lane.write("print", PRINTED)
    exchange = lane.upload(stored.number + 1)
    members = exchange.problem(409, "journal_fork")
    exchange.demand(members.get("head") == b64url(stored.hash), f"head {b64url(stored.hash)}: that of the stored entry")


@GROUP.case("J-06", "an upload may overlap what is stored")
def overlap(world: World) -> None:
    lane = world.lane()
    _print(lane, 4)
    first = lane.sent + 1
    _acknowledged(lane.upload(first, 2), first + 1)
    exchange = lane.upload(first, 4)
    _acknowledged(exchange, first + 3)
    results = [row["result"] for row in lane.results(exchange)]
    exchange.demand(results == ["duplicate", "duplicate", "accepted", "accepted"], "two duplicates, two accepted")
    lane.sent = lane.head.number


@GROUP.case("J-07", "an entry of unknown kind is stored and set aside, and the next one goes on")
def unknown_kind(world: World) -> None:
    lane = world.lane()
    lane.write("teleport", {"to": "moon", "deep": [{"a": [1, b"\x00", None, True]}]})
    _print(lane)
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


@GROUP.case("J-10", "an upload signed by another key is refused")
def other_key(world: World) -> None:
    lane = world.lane()
    _print(lane)
    thief = SigningKey.from_seed("p256", os.urandom(32))
    _post(lane, lane.sent + 1, [lane.entries[-1].data], key=thief).problem(403, "upload_signature")
    lane.upload(signature=b64url(b"nonsense")).problem(403, "upload_signature")
    lane.send()


@GROUP.case("J-10", "a signature for another count, first number or type is refused")
def other_statement(world: World) -> None:
    lane = world.lane()
    _print(lane, 2)
    entries = [sealed.data for sealed in lane.pending()]
    _post(lane, lane.sent + 1, entries, count=1).problem(403, "upload_signature")
    _post(lane, lane.sent + 1, entries, typ="counterfoil-other").problem(403, "upload_signature")
    one = lane.upload_body(lane.sent + 1, lane.pending()[:1])["signature"]
    lane.upload(signature=one).problem(403, "upload_signature")
    lane.send()


@GROUP.case("J-11", "nothing of an upload that is refused is stored")
def refused_whole(world: World) -> None:
    lane = world.lane()
    _print(lane, 2)
    lane.upload(signature=b64url(b"nonsense")).problem(403, "upload_signature")
    broken = [lane.pending()[0].data, b"\x80"]
    _post(lane, lane.sent + 1, broken).problem(422, "journal_malformed")
    exchange = lane.upload()
    results = [row["result"] for row in lane.results(exchange)]
    exchange.demand("duplicate" not in results, "no duplicate: none of these was stored before")
    lane.sent = lane.head.number


@GROUP.case("J-12", "bytes whose place in the chain cannot be read are refused")
def no_entry(world: World) -> None:
    lane = world.lane()
    _print(lane)
    good = lane.pending()[0]
    for data in (b"", b"\x80", b"\xff", cbor.encode([1, 2]), cbor.encode({"a": 1}), _variant(good, version=2),
                 _variant(good, recorded_at=-1), _variant(good, previous=b"short"), _variant(good, clock=[1, 1]),
                 good.data[:40]):  # fmt: skip
        _post(lane, lane.sent + 1, [data]).problem(422, "journal_malformed")
    lane.send()


@GROUP.case("J-12", "what is unreadable behind its place is refused, or stored and set aside")
def unreadable(world: World) -> None:
    lane = world.fresh_lane()
    lane.send()
    for spoil in (lambda good: good.data + b"\x00", lambda good: _variant(good, kind="k" * 65),
                  lambda good: _variant(good, lender=7), lambda good: good.data[:-1] + b"\xff"):  # fmt: skip
        before = lane.head
        _print(lane)
        good = lane.entries.pop()
        data = spoil(good)
        exchange = _post(lane, lane.sent + 1, [data])
        lane.head = before
        if exchange.status != 200:
            exchange.problem(422, "journal_malformed")
            continue
        lane.head = Head(lane.name, before.epoch, good.entry.number, journal.digest(data), before.lease_horizon)
        lane.entries.append(Sealed(good.entry, data, lane.head.hash))
        exchange.demand(lane.send()[-1]["result"] == "parked", "422 journal_malformed, or stored and parked")
    _print(lane)
    lane.send()


@GROUP.case("J-13", "an entry in another encoding than the one of its value is refused")
def not_canonical(world: World) -> None:
    lane = world.lane()
    _print(lane)
    data = lane.pending()[0].data
    long_form = b"\x98\x0d" + data[1:]  # the array's head in two bytes instead of one
    indefinite = b"\x9f" + data[1:] + b"\xff"
    for other in (long_form, indefinite):
        _post(lane, lane.sent + 1, [other]).problem(422, "journal_malformed")
    lane.send()


@GROUP.case("J-14", "an entry of another lane or epoch, or out of order, is refused")
def other_place(world: World) -> None:
    lane = world.lane()
    _print(lane, 2)
    one, two = lane.pending()
    for entries in ([_variant(one, lane="another-lane")], [_variant(one, epoch=lane.head.epoch + 1)],
                    [two.data, one.data], [_variant(one, number=one.entry.number + 1)]):  # fmt: skip
        _post(lane, lane.sent + 1, entries).problem(422, "journal_malformed")
    lane.send()


@GROUP.case("J-15", "an entry that lowers the lease horizon is refused")
def lower_horizon(world: World) -> None:
    lane = world.fresh_lane()
    lane.write("print", PRINTED, horizon_s=1_000)
    lane.send()
    _print(lane)
    _post(lane, lane.sent + 1, [_variant(lane.pending()[0], lease_horizon=999)]).problem(422, "journal_malformed")
    lane.send()


@GROUP.case("J-16", "an epoch that the lane never had is refused")
def other_epoch(world: World) -> None:
    lane = world.lane()
    _print(lane)
    lane.upload(epoch=lane.head.epoch + 7).problem(409, "epoch_unknown")
    lane.send()


@GROUP.case("J-17", "an upload may be compressed with zstd, and with nothing else")
def compressed(world: World) -> None:
    lane = world.lane()
    _print(lane, 3)
    body = encode(lane.upload_body(lane.sent + 1, lane.pending()))
    for encoding in ("gzip", "br", "snappy"):
        lane.line.post("/v1/journal", body, Content_Encoding=encoding).any_problem()
    lane.line.post("/v1/journal", b"no zstd", Content_Encoding="zstd").problem(400, "malformed")
    packed = zstandard.compress(body, 3)
    lane.line.post("/v1/journal", packed[:-5], Content_Encoding="zstd").problem(400, "malformed")
    _acknowledged(lane.line.post("/v1/journal", packed, Content_Encoding="zstd"), lane.head.number)
    lane.sent = lane.head.number


@GROUP.case("J-18", "a small body that unpacks to a huge one is refused")
def bomb(world: World) -> None:
    lane = world.lane()
    packed = zstandard.compress(b" " * (40 * 1024 * 1024), 3)
    lane.line.post("/v1/journal", packed, Content_Encoding="zstd").problem(413, "too_large")


@GROUP.case("J-19", "an upload has 1 to 1000 entries")
def how_many(world: World) -> None:
    lane = world.fresh_lane()
    _print(lane, 1000)
    lane.upload(entries=[]).problem(400, "malformed")
    lane.upload().problem(400, "malformed")  # 1001 with the first entry of the epoch
    exchange = lane.upload(1, 1000)
    _acknowledged(exchange, 1000)
    exchange.demand(len(lane.results(exchange)) == 1000, "1000 results")


@GROUP.case("J-20", "an entry may have 64 KiB and no more")
def entry_size(world: World) -> None:
    lane = world.lane()
    lane.write("teleport", {"note": b"\x00" * 65_000})
    lane.send()
    _print(lane)
    too_long = _variant(lane.pending()[0], body={"note": b"\x00" * 66_000})
    _post(lane, lane.sent + 1, [too_long]).problem(422, "journal_malformed")
    lane.send()


@GROUP.case("J-21", "what is stored are the bytes that were sent")
def bytes_kept(world: World) -> None:
    """A backend that re-encodes cannot continue the chain behind an entry that its own encoder writes differently."""
    lane = world.lane()
    lane.write("teleport", {"z": 1, "a": {"ü": "é\u0301", "b": [None, False]}, "blob": bytes(range(256))})
    _print(lane)
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


@GROUP.case("J-23", "the same upload many times at once is stored once")
def at_once(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    lease = world.lease(lane, phone)
    lane.stand_in(phone, lease.granted_minor)
    body = encode(lane.upload_body(lane.sent + 1, lane.pending()))
    with ThreadPoolExecutor(8) as pool:
        exchanges = list(pool.map(lambda _: lane.line.post("/v1/journal", body), range(8)))
    answered = [exchange for exchange in exchanges if exchange.status not in (429, 503)]
    results = [lane.results(exchange)[0]["result"] for exchange in answered]
    if not answered or set(results) - {"accepted", "duplicate"} or results.count("accepted") > 1:
        raise Broken("accepted once, and a duplicate each other time", sent="eight uploads at once", came=str(results))
    lane.send()


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


@GROUP.case("J-25", "what was acknowledged is there after a restart", needs=("restart",))
def durable(world: World) -> None:
    lane = world.fresh_lane()
    _print(lane, 20)
    _acknowledged(lane.upload(), lane.head.number)
    world.hook("restart")

    def back() -> Exchange | None:
        try:
            exchange = lane.upload(1)
        except Broken:
            return None
        return None if exchange.status == 503 else exchange

    exchange = world.wait_for("an answer after the restart", back, 30)
    _acknowledged(exchange, lane.head.number)
    results = {row["result"] for row in lane.results(exchange)}
    exchange.demand(results == {"duplicate"}, "every entry a duplicate: nothing was forgotten")


@GROUP.case("J-26", "numbers of an upload beyond the exact range are refused")
def ranges(world: World) -> None:
    lane = world.lane()
    _print(lane)
    for other in ({"first": 0}, {"first": -1}, {"first": 2**53}, {"first": "1"}, {"epoch": 0}, {"entries": ["%%%"]},
                  {"entries": "text"}, {"entries": [7]}, {"signature": None}):  # fmt: skip
        body = lane.upload_body(lane.sent + 1, lane.pending()) | other
        lane.line.post("/v1/journal", json.dumps(body).encode()).problem(400, "malformed")
    lane.send()
