"""Push: long poll, server-sent events, resuming, recalls and revocation."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from agent.conformance.case import Group
from agent.conformance.exchange import Broken, Exchange
from agent.conformance.lane import Lane
from agent.conformance.world import World

GROUP = Group("events")
LONG_POLL_S = 2


def _poll(
    lane: Lane, after: str | None = None, wait_s: int = LONG_POLL_S
) -> tuple[list[dict[str, Any]], str, Exchange]:
    query = f"?wait_s={wait_s}" + ("" if after is None else f"&after={after}")
    exchange = lane.line.get(f"/v1/events{query}", Accept="application/json")
    fields = exchange.ok()
    events, cursor = fields.get("events"), fields.get("cursor")
    exchange.demand(isinstance(events, list) and isinstance(cursor, str), "events: a list, and cursor: a text")
    whole = all(isinstance(event.get("type"), str) and isinstance(event.get("data"), dict) for event in events or [])
    exchange.demand(whole, "in each event: id, type, data")
    return events or [], str(cursor), exchange


@GROUP.case("V-01", "a long poll without a cursor tells the whole state at once")
def state(world: World) -> None:
    lane = world.leasing_lane()
    began = time.monotonic()
    events, _, exchange = _poll(lane, wait_s=20)
    exchange.demand(time.monotonic() - began < 5, "an answer at once")
    told = {(event["type"], event["data"].get("lender")) for event in events}
    for kind in ("keys", "policy", "snapshot"):
        exchange.demand((kind, world.lender) in told, f"an event {kind} of lender {world.lender}")


@GROUP.case("V-02", "a long poll with a cursor waits for what is new, and no longer than asked")
def waiting(world: World) -> None:
    lane = world.fresh_lane()
    cursor: str | None = None
    for _ in range(6):  # a first snapshot may be cut in between
        began = time.monotonic()
        events, cursor, exchange = _poll(lane, cursor, wait_s=LONG_POLL_S)
        if not events:
            waited_s = time.monotonic() - began
            exchange.demand(LONG_POLL_S - 1 <= waited_s <= LONG_POLL_S + 5, f"an answer after {LONG_POLL_S} s")
            return
    exchange.broken("no event when nothing changes")


def _events(
    lane: Lane, until: str, timeout_s: float, lender: str | None = None, **headers: str
) -> list[dict[str, str]]:
    """The events of a stream up to one of type ``until`` (of that ``lender``, where one is named), fields by name; all
    that came in time if there is none."""
    found: list[dict[str, str]] = []
    deadline = time.monotonic() + timeout_s
    with lane.line.stream("/v1/events", Accept="text/event-stream", **headers) as response:
        kind = response.headers.get("content-type", "").partition(";")[0]
        if response.status_code != 200 or kind != "text/event-stream":
            raise Broken(
                "status 200 and text/event-stream", sent="GET /v1/events", came=f"{response.status_code} {kind}"
            )
        for event in _parsed(response.iter_lines()):
            if event:
                found.append(event)
            if time.monotonic() > deadline or (event and _is_about(event, until, lender)):
                break
    return found


def _is_about(event: dict[str, str], kind: str, lender: str | None) -> bool:
    if event.get("event") != kind:
        return False
    return lender is None or json.loads(event["data"]).get("lender") == lender


def _parsed(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Each event, and nothing ({}) for a comment that keeps the line alive, so that whoever waits sees time pass."""
    event: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if not line:
            yield event
            event = {}
        elif name:
            event[name] = value.removeprefix(" ")


@GROUP.case("V-03", "a stream begins with the whole state; each event has an id, a type and JSON data")
def stream(world: World) -> None:
    lane = world.leasing_lane()
    events = _events(lane, "snapshot", 10)
    for event in events:
        if not event.get("id") or not event.get("event") or not isinstance(json.loads(event["data"]), dict):
            raise Broken("id, event and data (JSON) in each event", sent="GET /v1/events", came=str(event))
    if "snapshot" not in {event["event"] for event in events}:
        raise Broken("an event snapshot", sent="GET /v1/events", came=str(events))


@GROUP.case("V-04", "a new snapshot is pushed, and a resumed stream begins behind the last event")
def pushed(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    first = _events(lane, "snapshot", 10, phone.lender)
    told, sequence = {(event["event"], event["data"]) for event in first}, _sequence(first, phone.lender)
    lane.is_approved(phone, 100)
    lane.send()
    events = _events(lane, "snapshot", world.kit.snapshot_wait_s, phone.lender, Last_Event_ID=first[-1]["id"])
    if _sequence(events, phone.lender) <= sequence:
        raise Broken(f"an event snapshot above sequence {sequence}", came=str(events))
    if again := [event for event in events if (event["event"], event["data"]) in told]:
        raise Broken("no event that was told before", came=str(again))


def _sequence(events: list[dict[str, str]], lender: str) -> int:
    """Of the snapshot that the last event tells of; 0 if it tells of something else."""
    if not events or not _is_about(events[-1], "snapshot", lender):
        return 0
    sequence: int = json.loads(events[-1]["data"])["sequence"]
    return sequence


@GROUP.case("V-05", "a cursor that nobody gave is refused or counts as none")
def wrong_cursor(world: World) -> None:
    line = world.lane().line
    exchange = line.get("/v1/events?wait_s=0&after=nonsense", Accept="application/json")
    if exchange.status != 200:
        exchange.problem(400, "malformed")
    for wait in ("-1", "26", "x", "1e9"):
        line.get(f"/v1/events?wait_s={wait}", Accept="application/json").problem(400, "malformed")


@GROUP.case("V-06", "a recall is pushed to the lane that holds the lease", needs=("recall",))
def recalled(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    lease = world.lease(lane, phone)
    _, cursor, _ = _poll(lane)
    world.hook("recall", lender=phone.lender, lane=lane.name, account=phone.account.hex())

    def recall() -> dict[str, Any] | None:
        nonlocal cursor
        events, cursor, _ = _poll(lane, cursor, wait_s=1)
        return next((event["data"] for event in events if event["type"] == "recall"), None)

    data = world.wait_for("an event recall", recall, 15)
    if data.get("accounts") is not None and phone.account.hex() not in data["accounts"]:
        raise Broken(f"the account {phone.account.hex()} among those recalled", came=str(data))
    lane.give_back(phone, lease.granted_minor)
    if lane.send()[-1]["result"] not in ("accepted", "duplicate"):
        raise Broken("the lease_return to be accepted")


@GROUP.case("V-07", "a revoked lane is told so", needs=("revoke_lane",))
def told_revoked(world: World) -> None:
    lane = world.fresh_lane()
    lane.flush()
    _, cursor, _ = _poll(lane)
    world.hook("revoke_lane", lane=lane.name)

    def revoked() -> bool | None:
        exchange = lane.line.get(f"/v1/events?wait_s=1&after={cursor}", Accept="application/json")
        if exchange.status == 403:
            exchange.problem(403, "lane_revoked")
            return True
        return True if any(event["type"] == "revoked" for event in exchange.ok()["events"]) else None

    world.wait_for("an event revoked, or 403 lane_revoked", revoked, 15)
