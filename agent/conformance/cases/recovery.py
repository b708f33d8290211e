"""New epochs after a fork, and a backend that was restored from a backup."""

from __future__ import annotations

import os
from typing import Any

from agent.conformance.case import Group
from agent.conformance.exchange import Broken, Exchange
from agent.conformance.lane import Lane, b64url
from agent.conformance.world import World
from agent.core.journal import Head

GROUP = Group("recovery")
PRINTED = {"job_id": 1, "rung": "confirmed", "copy": False}


def _ask_epoch(lane: Lane, /, **other: Any) -> Exchange:
    body = {"lane": lane.name, "epoch": lane.head.epoch, "reason": "restored", "number": lane.head.number}
    return lane.line.post("/v1/epochs", body | {"hash": b64url(lane.head.hash)} | other)


def _forked(world: World) -> tuple[Lane, Head]:
    """A fresh lane whose journal forked after entry 2: its head, and the head that the backend has."""
    lane = world.fresh_lane()
    lane.write("print", PRINTED)
    shared = lane.head, list(lane.entries)
    lane.write("print", PRINTED)
    lane.send()
    stored = lane.head
    lane.head, lane.entries = shared
    lane.write("print", PRINTED | {"job_id": 99})
    return lane, stored


def _renewed(lane: Lane, exchange: Exchange) -> Lane:
    """The same device in its new epoch."""
    fields = exchange.ok()
    return Lane(lane.line, lane.key, lane.answer, Head(lane.name, fields["epoch"]))


@GROUP.case("R-01", "a lane whose journal forked gets a new epoch, and the backend's head of the old one")
def new_epoch(world: World) -> None:
    lane, stored = _forked(world)
    exchange = _ask_epoch(lane)
    fields = exchange.ok()
    exchange.demand(fields.get("epoch") == lane.head.epoch + 1, f"epoch {lane.head.epoch + 1}")
    head = {"epoch": stored.epoch, "number": stored.number, "hash": b64url(stored.hash)}
    exchange.demand(fields.get("previous") == head, f"previous {head}")


@GROUP.case("R-02", "the same question for an epoch gets the same answer, another one a conflict")
def epoch_repeated(world: World) -> None:
    lane, _ = _forked(world)
    first = _ask_epoch(lane)
    first.ok()
    again = _ask_epoch(lane)
    again.demand(again.status == 200 and again.content == first.content, "the same bytes as the first answer")
    _ask_epoch(lane, number=1).problem(409, "idempotency_conflict")


@GROUP.case("R-03", "the old epoch is taken as quarantined beyond the backend's head, and moves no money")
def quarantined(world: World) -> None:
    lane, stored = _forked(world)
    phone = world.phone()
    lane.stand_in(phone, 100, funding="cap", lease=None)
    _ask_epoch(lane).ok()
    exchange = lane.upload(1)
    results = [row["result"] for row in lane.results(exchange)]
    shared = stored.number - 1
    expected = ["duplicate"] * shared + ["quarantined"] * (lane.head.number - shared)
    exchange.demand(results == expected, f"results {', '.join(expected)}")
    through = exchange.ok()["acknowledged_through"]
    exchange.demand(through == lane.head.number, f"acknowledged_through {lane.head.number}: the queue drains")


@GROUP.case("R-04", "the new journal starts at 1 with the lane's own key, and sells")
def new_journal(world: World) -> None:
    lane, stored = _forked(world)
    new = _renewed(lane, _ask_epoch(lane))
    previous = {"epoch": stored.epoch, "number": stored.number, "hash": stored.hash}
    body = {"certificate": bytes(32), "journal_key": b"", "reason": "restored", "previous": previous}
    new.write("epoch_start", body)
    new.write("print", PRINTED)
    new.send()
    if not new.is_approved(world.phone(), 100):
        raise Broken("an approval in the new epoch")
    new.send()


@GROUP.case("R-05", "an epoch of another lane, or one that never was, cannot be ended")
def other_epochs(world: World) -> None:
    lane, _ = _forked(world)
    _ask_epoch(lane, lane="another-lane").problem(403, "lane_mismatch")
    _ask_epoch(lane, epoch=lane.head.epoch + 5).problem(409, "epoch_unknown")
    _ask_epoch(lane, reason="bored").problem(400, "malformed")


@GROUP.case("R-08", "a layer that the backend has is taken again, and one that its lender did not sign is refused")
def layer_again(world: World) -> None:
    lane = world.leasing_lane()
    top = world.installed(lane)
    path, data = f"/v1/snapshot/{world.lender}/{top.sequence}", top.files[-1]
    lane.line.ask("PUT", path, content=data).is_(204)
    forged = bytearray(data)
    forged[-1] ^= 1
    lane.line.ask("PUT", f"/v1/snapshot/{world.lender}/{top.sequence + 90_000}", content=bytes(forged)).is_(422)


@GROUP.case("R-06", "a restored backend says that it is recovering and grants nothing", needs=("restored",))
def restored(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    _heartbeat(world, lane)
    world.hook("restored")
    exchange = lane.ask(lane.request(phone, 100, lane.new_sale()))
    exchange.problem(503, "recovering")
    exchange.demand(exchange.headers.get("retry-after", "").isdecimal(), "a header Retry-After in seconds")


@GROUP.case("R-07", "a recovering backend goes on with journal, keys, policy and heartbeats", needs=("restored",))
def recovering(world: World) -> None:
    lane = world.lane()
    world.hook("restored")
    lane.write("print", PRINTED)
    lane.upload().ok()
    for path in ("keys", "policy"):
        lane.line.get(f"/v1/{path}?lender={world.lender}").is_(200)
    fields = _heartbeat(world, lane).ok()
    if not isinstance(fields.get("layers_wanted"), list):
        raise Broken("layers_wanted: a list", came=str(fields))


def _heartbeat(world: World, lane: Lane) -> Exchange:
    body = {"lender": world.lender, "nonce": b64url(os.urandom(16)), "epoch": lane.head.epoch}
    body |= {"number": lane.head.number, "acknowledged_through": lane.sent, "installed": {}}
    return lane.line.post("/v1/heartbeat", body)
