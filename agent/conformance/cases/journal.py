"""Store and forward: numbers and chain of an upload, its signature and size, and what is acknowledged."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor

import zstandard

from agent.conformance import forgery
from agent.conformance.case import Group
from agent.conformance.exchange import Broken, Exchange
from agent.conformance.lane import b64url
from agent.conformance.line import encode
from agent.conformance.world import World
from agent.core import journal
from agent.core.cose import SigningKey
from agent.core.journal import Head

GROUP = Group("journal")
PRINTED = {"job_id": 1, "rung": "confirmed", "copy": False}


def _acknowledged(exchange: Exchange, number: int) -> None:
    fields = exchange.ok()
    exchange.demand(fields.get("acknowledged_through") == number, f"acknowledged_through {number}")


@GROUP.case("J-01", "an upload is acknowledged through its last entry, with a result for each")
def acknowledged(world: World) -> None:
    lane = world.lane()
    first = lane.head.number + 1
    lane.fill(3)
    exchange = lane.upload()
    _acknowledged(exchange, lane.head.number)
    numbers = [row.get("number") for row in lane.results(exchange)]
    exchange.demand(numbers == [first, first + 1, first + 2], f"results for {first} to {first + 2}, in order")
    lane.sent = lane.head.number


@GROUP.case("J-02", "the answer says how far the entries are posted, which is never beyond what is stored")
def posted(world: World) -> None:
    lane = world.lane()
    lane.fill()
    exchange = lane.upload()
    fields = exchange.ok()
    through = fields.get("posted_through")
    exchange.demand(type(through) is int, "posted_through: a number")
    exchange.demand(0 <= int(str(through)) <= fields["acknowledged_through"], "posted_through at or below acknowledged")
    lane.send()


@GROUP.case("J-03", "an upload that is repeated changes nothing and is called a duplicate")
def duplicate(world: World) -> None:
    lane, limit_minor = world.lane(), world.kit.phones[0].limit_minor
    part_minor = limit_minor * 2 // 5 + 1  # not round, and posted twice it would leave too little for another one
    phone = world.roomy_phone(lane, 2 * part_minor)
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
    _, again = lane.buy(phone, part_minor)
    if not again["approved"]:
        raise Broken("the sale to be counted once: as much again is within the limit", came=str(again))


@GROUP.case("J-04", "a gap is refused with the number that is expected")
def gap(world: World) -> None:
    lane = world.lane()
    lane.fill(3)
    for skipped in (1, 2):
        exchange = lane.upload(lane.sent + 1 + skipped)
        members = exchange.problem(409, "journal_gap")
        exchange.demand(members.get("expected") == lane.sent + 1, f"expected {lane.sent + 1}")
    lane.send()


@GROUP.case("J-05", "other content under a number that is taken is a fork")
def fork(world: World) -> None:
    lane = world.fresh_lane()
    lane.fill()
    before = lane.head, len(lane.entries)
    lane.fill()
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
    lane.fill(2)
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
    lane.fill(4)
    first = lane.sent + 1
    _acknowledged(lane.upload(first, 2), first + 1)
    exchange = lane.upload(first, 4)
    _acknowledged(exchange, first + 3)
    results = [row["result"] for row in lane.results(exchange)]
    exchange.demand(results == ["duplicate", "duplicate", "accepted", "accepted"], "two duplicates, two accepted")
    lane.sent = lane.head.number


@GROUP.case("J-10", "an upload signed by another key is refused")
def other_key(world: World) -> None:
    lane = world.lane()
    lane.fill()
    thief = SigningKey.from_seed("p256", os.urandom(32))
    forgery.post(lane, lane.sent + 1, [lane.entries[-1].data], key=thief).problem(403, "upload_signature")
    lane.upload(signature=b64url(b"nonsense")).problem(403, "upload_signature")
    lane.send()


@GROUP.case("J-10", "a signature for another count, first number or type is refused")
def other_statement(world: World) -> None:
    lane = world.lane()
    lane.fill(2)
    entries = [sealed.data for sealed in lane.pending()]
    forgery.post(lane, lane.sent + 1, entries, count=1).problem(403, "upload_signature")
    forgery.post(lane, lane.sent + 1, entries, typ="counterfoil-other").problem(403, "upload_signature")
    one = lane.upload_body(lane.sent + 1, lane.pending()[:1])["signature"]
    lane.upload(signature=one).problem(403, "upload_signature")
    lane.send()


@GROUP.case("J-11", "nothing of an upload that is refused is stored")
def refused_whole(world: World) -> None:
    lane = world.lane()
    lane.fill(2)
    lane.upload(signature=b64url(b"nonsense")).problem(403, "upload_signature")
    broken = [lane.pending()[0].data, b"\x80"]
    forgery.post(lane, lane.sent + 1, broken).problem(422, "journal_malformed")
    exchange = lane.upload()
    results = [row["result"] for row in lane.results(exchange)]
    exchange.demand("duplicate" not in results, "no duplicate: none of these was stored before")
    lane.sent = lane.head.number


@GROUP.case("J-16", "an epoch that the lane never had is refused")
def other_epoch(world: World) -> None:
    lane = world.lane()
    lane.fill()
    lane.upload(epoch=lane.head.epoch + 7).problem(409, "epoch_unknown")
    lane.send()


@GROUP.case("J-17", "an upload may be compressed with zstd, and with nothing else")
def compressed(world: World) -> None:
    lane = world.lane()
    lane.fill(3)
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
    lane.fill(1000)
    lane.upload(entries=[]).problem(400, "malformed")
    lane.upload().problem(400, "malformed")  # 1001 with the first entry of the epoch
    exchange = lane.upload(1, 1000)
    _acknowledged(exchange, 1000)
    exchange.demand(len(lane.results(exchange)) == 1000, "1000 results")


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


@GROUP.case("J-25", "what was acknowledged is there after a restart", needs=("restart",))
def durable(world: World) -> None:
    lane = world.fresh_lane()
    lane.fill(20)
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
    lane.fill()
    for other in ({"first": 0}, {"first": -1}, {"first": 2**53}, {"first": "1"}, {"epoch": 0}, {"entries": ["%%%"]},
                  {"entries": "text"}, {"entries": [7]}, {"signature": None}):  # fmt: skip
        body = lane.upload_body(lane.sent + 1, lane.pending()) | other
        lane.line.post("/v1/journal", json.dumps(body).encode()).problem(400, "malformed")
    lane.send()
