"""Signed documents: keys, policy, signed time, snapshots and their layers."""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any

from agent.conformance.case import Group
from agent.conformance.exchange import Broken, Exchange
from agent.conformance.lane import Lane, b64url
from agent.conformance.snapshot import checked_keys, from_b64url, key_list, listing
from agent.conformance.world import World
from agent.core import cbor, cose, trust
from agent.core.cose import SigningKey
from agent.core.lane_report import Report
from agent.core.policy import PolicyError, verify_policy
from agent.core.trust import TrustError

GROUP = Group("documents")
CLOCK_OFF_MAX_S = 60


@GROUP.case("D-01", "the key list is signed by the lender's root")
def keys(world: World) -> None:
    lane = world.lane()
    exchange = lane.line.get(f"/v1/keys?lender={world.lender}").is_(200)
    exchange.demand(exchange.media_type == "application/cose", "an answer of type application/cose")
    found = checked_keys(lane, world.lender, exchange)
    exchange.demand(found.version >= 1 and found.expires_at > time.time(), "a list that has not expired")
    exchange.demand({entry.role for entry in found.keys} >= set(trust.Role), "a key for each role")


@GROUP.case("D-02", "the policy is signed by a key of role policy")
def policy(world: World) -> None:
    lane = world.lane()
    found = key_list(lane, world.lender)
    exchange = lane.line.get(f"/v1/policy?lender={world.lender}").is_(200)
    exchange.demand(exchange.media_type == "application/cose", "an answer of type application/cose")
    try:
        read = verify_policy(exchange.content, found, at=int(time.time()))
    except (PolicyError, TrustError) as error:
        exchange.broken(f"a policy that verifies with the key list ({error})")
    exchange.demand(read.version >= 1, "a version from 1 on")


@GROUP.case("D-03", "what a lane has already is not sent again")
def not_modified(world: World) -> None:
    lane = world.lane()
    for path in ("keys", "policy"):
        _check_tag(lane.line.get(f"/v1/{path}?lender={world.lender}"), lane, f"/v1/{path}?lender={world.lender}")


def _check_tag(whole: Exchange, lane: Lane, path: str) -> None:
    tag = whole.is_(200).headers.get("etag", "")
    whole.demand(tag.startswith('"') and tag.endswith('"'), "a strong ETag")
    for header in (tag, f"W/{tag}", f'"0", {tag}'):
        same = lane.line.get(path, If_None_Match=header)
        same.demand(same.status == 304 and not same.content, "status 304 without a body")
    other = lane.line.get(path, If_None_Match='"another"')
    other.demand(other.status == 200 and other.content, "status 200 with the document")


@GROUP.case("D-04", "a lender that this backend does not serve is not found")
def unknown_lender(world: World) -> None:
    lane = world.lane()
    for path in ("keys", "policy", "snapshot"):
        for query in ("?lender=nobody", "?lender=", "", "?lender=../etc"):
            lane.line.get(f"/v1/{path}{query}").problem(404, "lender_unknown")
    beat = {"lender": "nobody", "nonce": b64url(bytes(16))}
    lane.line.post("/v1/heartbeat", beat).problem(404, "lender_unknown")


@GROUP.case("D-05", "a rotated key comes with a higher version, and the list still verifies", needs=("rotate_key",))
def rotated(world: World) -> None:
    lane = world.lane()
    before = key_list(lane, world.lender)
    world.hook("rotate_key", lender=world.lender, role="time")

    def newer() -> trust.KeyList | None:
        found = key_list(lane, world.lender)
        return found if found.version > before.version else None

    found = world.wait_for(f"a key list above version {before.version}", newer, 15)
    fresh = [entry for entry in found.keys if entry.role == "time" and entry.kid not in {e.kid for e in before.keys}]
    if not fresh:
        raise Broken("a new key of role time in the list", came=f"keys {[e.kid.hex() for e in found.keys]}")
    _check_time(world, _beat(world, lane, os.urandom(16)), found)


# --- signed time -----------------------------------------------------------------------------------------------
def _check_time(world: World, exchange: Exchange, found: trust.KeyList) -> dict[Any, Any]:
    """The payload of the signed time, if a key of role time signed it."""
    try:
        signed = from_b64url(exchange.ok()["time"])
        payload = trust.verify_document(signed, found, role="time", typ="counterfoil-time", at=int(time.time()))
    except (TrustError, ValueError) as error:
        exchange.broken(f"a time signed by a key of role time, of type counterfoil-time ({error})")
    exchange.demand(payload.get("lender") == world.lender, f"the lender {world.lender} inside the signed time")
    return dict(payload)


def _beat(world: World, lane: Lane, nonce: bytes) -> Exchange:
    return lane.line.post("/v1/heartbeat", {"lender": world.lender, "nonce": b64url(nonce)})


@GROUP.case("H-01", "the time is signed by a key of role time")
def signed_time(world: World) -> None:
    lane = world.lane()
    _check_time(world, _beat(world, lane, bytes(16)), key_list(lane, world.lender))


@GROUP.case("H-02", "the time is bound to the nonce of this question")
def bound_time(world: World) -> None:
    lane = world.lane()
    for _ in range(3):
        nonce = os.urandom(16)
        exchange = _beat(world, lane, nonce)
        exchange.demand(_payload(exchange).get("nonce") == nonce, f"the nonce {nonce.hex()} inside the signed time")


def _payload(exchange: Exchange) -> dict[Any, Any]:
    try:
        payload = cbor.decode(cose.parse1(from_b64url(exchange.ok()["time"])).payload)
    except (cose.CoseError, cbor.CborError, ValueError) as error:
        exchange.broken(f"a COSE_Sign1 over a CBOR map ({error})")
    exchange.demand(isinstance(payload, dict), "a COSE_Sign1 over a CBOR map")
    return dict(payload) if isinstance(payload, dict) else {}


@GROUP.case("H-03", "the time is now, in whole seconds, and does not go back")
def right_time(world: World) -> None:
    lane, last = world.lane(), 0
    for _ in range(3):
        exchange = _beat(world, lane, os.urandom(16))
        stated = _payload(exchange).get("time")
        if not isinstance(stated, int) or isinstance(stated, bool):
            exchange.broken("a whole number of seconds")
        off_s = abs(stated - int(time.time()))
        exchange.demand(
            off_s <= CLOCK_OFF_MAX_S, f"a time within {CLOCK_OFF_MAX_S} s of the suite's clock, not {off_s}"
        )
        exchange.demand(stated >= last, "a time that does not go back")
        last = stated


@GROUP.case("H-04", "a nonce of another length is refused")
def short_nonce(world: World) -> None:
    lane = world.lane()
    for nonce in (b"", bytes(8), bytes(15), bytes(17), bytes(64)):
        _beat(world, lane, nonce).problem(400, "malformed")


@GROUP.case("H-05", "a lane may say how it is, and hears what is wanted of it")
def whole_heartbeat(world: World) -> None:
    lane = world.lane()
    state: dict[str, Any] = {"epoch": lane.head.epoch, "number": lane.head.number, "acknowledged_through": lane.sent}
    state |= {"installed": {}, "versions": {"agent": "0.1.0"}, "queue_depth": 0, "clock_offset_s": None}
    body = {"lender": world.lender, "nonce": b64url(os.urandom(16)), "devices": {"printer": "ready"}} | state
    exchange = lane.line.post("/v1/heartbeat", body)
    fields = exchange.ok()
    exchange.demand(fields.get("layers_wanted") == [], "layers_wanted: []")
    until = (fields.get("certificate") or {}).get("not_after", "")
    exchange.demand(isinstance(until, str) and until.endswith("Z") and "T" in until, "certificate.not_after (RFC 3339)")


@GROUP.case("H-06", "a lane hears which lenders it has")
def lenders_named(world: World) -> None:
    lane = world.lane()
    exchange = lane.line.post("/v1/heartbeat", {"lender": world.lender, "nonce": b64url(os.urandom(16))})
    told = exchange.ok().get("lenders")
    wanted = {row["lender"] for row in lane.answer["lenders"]}
    exchange.demand(isinstance(told, list) and wanted <= set(told), f"lenders with {', '.join(sorted(wanted))}")


@GROUP.case("H-07", "a lane hears how far each of its journals is stored")
def journals_told(world: World) -> None:
    lane = world.fresh_lane()
    lane.write("print", {"job_id": 1, "rung": "confirmed", "copy": False})
    lane.send()
    exchange = _beat(world, lane, os.urandom(16))
    told = [{"epoch": lane.head.epoch, "stored_through": lane.head.number}]
    exchange.demand(exchange.ok().get("journals") == told, f"journals {told}")


@GROUP.case("H-08", "a report that the journal key has not signed is answered, and not believed")
def unsigned_report(world: World) -> None:
    lane = world.lane()
    nonce = os.urandom(16)
    ahead = Report(lane.name, nonce, lane.head.epoch, 10**6, 10**6, {})
    forged = b64url(ahead.signed(SigningKey.from_seed("p256", os.urandom(32))))
    body = {"lender": world.lender, "nonce": b64url(nonce), "epoch": ahead.epoch, "number": ahead.number}
    body |= {"acknowledged_through": ahead.acknowledged_number, "installed": {}}
    for signature in ({}, {"signature": forged}):
        exchange = lane.line.post("/v1/heartbeat", body | signature)
        exchange.demand(not exchange.ok().get("recovering"), "a backend that goes on as before")


# --- snapshots -------------------------------------------------------------------------------------------------
@GROUP.case("S-01", "the stack is listed bottom first and only its lowest layer is a base")
def stack_listed(world: World) -> None:
    lane = world.leasing_lane()
    exchange = lane.line.get(f"/v1/snapshot?lender={world.lender}")
    rows = listing(exchange)
    sequences = [row["sequence"] for row in rows]
    exchange.demand([row["base"] for row in rows] == [True] + [False] * (len(rows) - 1), "one base, the lowest")
    exchange.demand(sequences == sorted(set(sequences)), "sequences that grow")
    exchange.demand(exchange.ok().get("sequence") == sequences[-1], f"sequence {sequences[-1]}: that of the top layer")


@GROUP.case("S-02", "the listed size and digest are those of the file, and its signature holds")
def layer_files(world: World) -> None:
    lane = world.leasing_lane()
    rows = listing(lane.line.get(f"/v1/snapshot?lender={world.lender}"))
    for row in rows:
        exchange = lane.line.get(row["url"]).is_(200)
        exchange.demand(len(exchange.content) == row["size"], f"{row['size']} bytes")
        exchange.demand(hashlib.sha256(exchange.content).hexdigest() == row["sha256"], f"SHA-256 {row['sha256']}")


@GROUP.case("S-03", "the manifest names this lane, its store, and its open epoch")
def manifest(world: World) -> None:
    lane = world.leasing_lane()
    told = world.installed(lane).stack.newest
    expected = (world.lender, lane.answer["merchant"], lane.answer["store"], lane.name, lane.head.epoch)
    found = (told.lender, told.merchant, told.store, told.lane, told.lease_epoch)
    if found != expected:
        raise Broken(f"a manifest of {expected}", sent="GET the newest layer", came=str(found))
    if told.currency != lane.currency:
        raise Broken(f"a manifest in {lane.currency}", came=told.currency)


@GROUP.case("S-04", "no page of a layer differs from its digest")
def pages(world: World) -> None:
    lane = world.leasing_lane()
    for layer in world.installed(lane).stack.layers:
        for index in range(layer.header.pages_end):
            layer.page(index)


@GROUP.case("S-05", "a download goes on where it broke off")
def ranges(world: World) -> None:
    lane = world.leasing_lane()
    row = listing(lane.line.get(f"/v1/snapshot?lender={world.lender}"))[0]
    whole = lane.line.get(row["url"]).is_(200).content
    for first, last in ((0, 0), (1, 9), (100, len(whole) - 1), (len(whole) - 1, len(whole) - 1)):
        exchange = lane.line.get(row["url"], Range=f"bytes={first}-{last}")
        exchange.demand(exchange.status == 206, "status 206")
        span = f"bytes {first}-{last}/{len(whole)}"
        exchange.demand(exchange.headers.get("content-range") == span, f"Content-Range: {span}")
        exchange.demand(exchange.content == whole[first : last + 1], "the bytes of the range")
    rest = lane.line.get(row["url"], Range="bytes=100-")
    rest.demand(rest.status == 206 and rest.content == whole[100:], "the rest of the file")


@GROUP.case("S-06", "a range beyond the file is refused")
def range_outside(world: World) -> None:
    lane = world.leasing_lane()
    row = listing(lane.line.get(f"/v1/snapshot?lender={world.lender}"))[0]
    lane.line.get(row["url"], Range=f"bytes={row['size']}-").problem(416, "range")


@GROUP.case("S-07", "a range that cannot be read is no range")
def range_unreadable(world: World) -> None:
    lane = world.leasing_lane()
    row = listing(lane.line.get(f"/v1/snapshot?lender={world.lender}"))[0]
    for header in ("bytes=x-", "pages=1-2", "bytes"):
        exchange = lane.line.get(row["url"], Range=header)
        exchange.demand(
            exchange.status == 200 and len(exchange.content) == row["size"], "the whole file with status 200"
        )


@GROUP.case("S-08", "a stack that has not changed is not listed again")
def snapshot_not_modified(world: World) -> None:
    lane = world.leasing_lane()
    path = f"/v1/snapshot?lender={world.lender}"
    for _ in range(20):  # a layer may be cut in between
        tag = lane.line.get(path).is_(200).headers.get("etag", "")
        same = lane.line.get(path, If_None_Match=tag or '""')
        if same.status == 304:
            return
    same.broken("status 304 for the tag of the answer before")


@GROUP.case("S-09", "a layer that was never cut is not found")
def no_such_layer(world: World) -> None:
    lane = world.lane()
    for path in (f"{world.lender}/999999999", "nobody/1", f"{world.lender}/0", f"{world.lender}/{2**60}"):
        exchange = lane.line.get(f"/v1/snapshot/{path}")
        exchange.demand(exchange.any_problem()["status"] == 404, "status 404")


@GROUP.case("S-10", "a lane never gets the layer of another")
def other_lanes_layer(world: World) -> None:
    first, second = world.leasing_lane(), world.leasing_lane()
    row = listing(first.line.get(f"/v1/snapshot?lender={world.lender}"))[-1]
    mine = first.line.get(row["url"]).is_(200).content
    other = second.line.get(row["url"])
    other.demand(other.status in (403, 404) or other.content != mine, "anything but the other lane's layer")


@GROUP.case("S-11", "a changed account is in a newer layer that builds upon the one before")
def newer_layer(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    before = world.installed(lane).sequence
    lane.is_approved(phone, 100)
    lane.send()
    found = world.install(lane, above=before)
    through = found.stack.newest.applied_through.get(lane.name)
    if through is None or through[0] != lane.head.epoch or through[1] > lane.head.number:
        raise Broken(f"applied_through of {lane.name} at or below entry {lane.head.number}", came=str(through))
