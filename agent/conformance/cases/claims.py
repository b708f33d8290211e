"""Claims from slips: a stand-in approval that survives the loss of the lane's disk (lease rule 17)."""

from __future__ import annotations

import os
import time
from typing import Any

from agent.conformance.case import Group
from agent.conformance.exchange import Broken, Exchange
from agent.conformance.kit import Phone
from agent.conformance.lane import Lane, b64url
from agent.conformance.world import World
from agent.core.cose import SigningKey
from agent.core.slip_claim import SlipClaim, make_claim

GROUP = Group("claims")


def _claim(
    lane: Lane, phone: Phone, sale_id: str, amount_minor: int, key: SigningKey | None = None, /, **other: Any
) -> str:
    fields: dict[str, Any] = {"lane": lane.name, "epoch": lane.head.epoch, "lender": phone.lender, "attempt": 1}
    fields |= {"sale_id": sale_id, "account": phone.account, "amount_minor": amount_minor, "currency": lane.currency}
    fields |= {"approved_at": int(time.time()), "lease_epoch": lane.head.epoch, "delta_minor": amount_minor}
    return make_claim(SlipClaim(**(fields | other)), key or lane.key)


def _bring(lane: Lane, text: str) -> Exchange:
    return lane.line.post("/v1/claims", {"claim": text})


@GROUP.case("Q-01", "a slip's claim is accepted once, whoever brings it")
def claimed(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    world.lease(lane, phone)
    sale_id = lane.new_sale()
    text = _claim(lane, phone, sale_id, 100)
    world.spoil(lane)
    exchange = _bring(world.lane(), text)
    fields = exchange.ok()
    expected = {"result": "accepted", "sale_id": sale_id, "lane": lane.name, "epoch": lane.head.epoch}
    exchange.demand({name: fields.get(name) for name in expected} == expected, f"{expected}")
    again = _bring(lane, text)
    again.demand(again.ok().get("result") == "duplicate", 'result "duplicate"')


@GROUP.case("Q-02", "a claim for a sale that the journal has already told is known")
def known(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    world.lease(lane, phone)
    sale_id = lane.stand_in(phone, 100)
    lane.send()
    exchange = _bring(lane, _claim(lane, phone, sale_id, 100))
    exchange.demand(exchange.ok().get("result") == "known", 'result "known"')


@GROUP.case("Q-03", "a claim that the lane's journal key did not sign is refused")
def forged_claim(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    thief = SigningKey.from_seed("p256", os.urandom(32))
    _bring(lane, _claim(lane, phone, lane.new_sale(), 100, thief)).problem(422, "claim_signature")


@GROUP.case("Q-04", "a claim of a lane that nobody enrolled is refused")
def foreign_claim(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    exchange = _bring(lane, _claim(lane, phone, lane.new_sale(), 100, lane="never-enrolled"))
    exchange.problem(403, "lane_unknown")


@GROUP.case("Q-05", "the journal entry of a sale that was claimed before is disputed, and its money moves once")
def claimed_before(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    lease = world.lease(lane, phone)
    sale_id = lane.new_sale()
    world.spoil(lane)
    _bring(lane, _claim(lane, phone, sale_id, 100)).ok()
    lane.stand_in(phone, 100, sale_id)
    lane.stand_in(phone, lease.granted_minor - 100)
    rows = lane.send()
    told = [(row["result"].replace("duplicate", "accepted"), row.get("reason")) for row in rows]
    if told != [("disputed", "claimed_before"), ("accepted", None)]:
        raise Broken("disputed: claimed_before, and the rest of the lease still there", came=str(rows))


@GROUP.case("Q-06", "a text that is no claim is refused")
def no_claim(world: World) -> None:
    line = world.lane().line
    for text in ("", "CFC1:", "CFC1:!!!!", "hello", "CFC1:" + b64url(b"\x80")):
        exchange = line.post("/v1/claims", {"claim": text})
        exchange.demand(exchange.any_problem()["status"] in (400, 422), "status 400 or 422")
