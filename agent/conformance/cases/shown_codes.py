"""Codes that a lane shows: pending, paid by an app, expired, given up, and told to the lane."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Final

from agent.conformance.case import Group
from agent.conformance.exchange import Broken, Exchange, Skipped
from agent.conformance.kit import Phone
from agent.conformance.lane import CATEGORY, Lane
from agent.conformance.world import World
from agent.core.journal import Kind
from agent.core.merchant_code import Payee, merchant_code, reference_of
from agent.core.money import Money

GROUP = Group("shown codes")
AMOUNT_MINOR: Final = 100
VALID_S: Final = 300
TOLD_WITHIN_S: Final = 15
NEEDS: Final = ("pay_code",)


def _code(world: World, lane: Lane, sale_id: str, *, amount_minor: int = AMOUNT_MINOR, lender: str = "") -> str:
    payee = Payee(lender or world.lender, lane.answer["merchant"], CATEGORY, "CN", "Conformance", "Shanghai")
    reference, amount = reference_of(lane.name, sale_id, 1), Money(amount_minor, lane.currency)
    return merchant_code(payee, store="s1", lane=lane.name, reference=reference, amount=amount)


def _body(world: World, lane: Lane, *, valid_s: int = VALID_S, **other: Any) -> dict[str, Any]:
    """A question that shows a code of its own instead of a pass."""
    body = lane.request(world.bystander(), AMOUNT_MINOR, lane.new_sale(), lender=world.lender)
    del body["pass"], body["lease"]
    code = {"text": _code(world, lane, body["sale_id"]), "valid_s": valid_s}
    return body | {"merchant_code": code} | other


def _shown(world: World, lane: Lane, *, valid_s: int = VALID_S) -> tuple[dict[str, Any], Exchange]:
    """The intent in the journal, and the code registered."""
    body = _body(world, lane, valid_s=valid_s)
    _write(lane, Kind.ONLINE_INTENT, body, scanned_at=0, lease=None)
    return body, lane.ask(body)


def _write(lane: Lane, kind: str, body: dict[str, Any], **more: Any) -> None:
    facts = {"amount_minor": AMOUNT_MINOR, "currency": lane.currency, "category": CATEGORY, "capture": "at_once"}
    facts |= {"account": None, "cti": None, "code": None} | more
    lane.write(kind, facts, lender=body["lender"], sale_id=body["sale_id"])


def _decline(lane: Lane, body: dict[str, Any]) -> None:
    _write(lane, Kind.DECLINE, body, response_code="17", reason="code_abandoned", rules=[], policy_version=None)
    lane.send()


def _inquire(lane: Lane, body: dict[str, Any]) -> Exchange:
    return lane.line.get(f"/v1/authorizations/{body['lender']}/{body['sale_id']}/1")


def _pay(world: World, body: dict[str, Any], phone: Phone) -> None:
    code = body["merchant_code"]["text"]
    world.hook("pay_code", lender=phone.lender, account=phone.account.hex(), code=code)


def _tries_to_pay(world: World, body: dict[str, Any], phone: Phone) -> None:
    """What must not succeed: whether it did, the attempt tells."""
    with contextlib.suppress(Skipped):
        _pay(world, body, phone)


def _demand_paid(lane: Lane, body: dict[str, Any], phone: Phone) -> Exchange:
    exchange = _inquire(lane, body)
    fields = exchange.ok()
    exchange.demand(fields.get("approved") is True and fields.get("amount") == body["amount"], "an approval")
    exchange.demand(fields.get("account") == phone.account.hex(), f"account {phone.account.hex()}")
    exchange.demand(not fields.get("pending") and fields.get("lease_used_minor") == 0, "not pending, no lease")
    return exchange


@GROUP.case("P-01", "a code is registered for its own attempt only")
def own_attempt(world: World) -> None:
    lane = world.lane()
    body = _body(world, lane)
    text, other = body["merchant_code"]["text"], _code(world, lane, lane.new_sale())
    dearer = _code(world, lane, body["sale_id"], amount_minor=AMOUNT_MINOR + 1)
    for wrong in (other, dearer, _code(world, lane, body["sale_id"], lender="other"), text[:-1], "no code"):
        code = {"text": wrong, "valid_s": VALID_S}
        lane.ask(body | {"merchant_code": code}).problem(400, "malformed")
    lane.ask(body | {"pass": "x"}).problem(400, "malformed")


@GROUP.case("P-02", "a shown code is pending, the same bytes to whoever asks")
def pending(world: World) -> None:
    lane = world.lane()
    body, first = _shown(world, lane)
    fields = first.ok()
    waits = fields.get("approved") is False and fields.get("pending") is True
    first.demand(waits and fields.get("response_code") == "09", "pending, not approved, code 09")
    first.demand(fields.get("reason") == "code_shown", "reason code_shown")
    for again in (lane.ask(body), _inquire(lane, body)):
        again.demand(again.content == first.content, "the same bytes as the first answer")
    _decline(lane, body)


@GROUP.case("P-03", "an app that pays makes it an online sale like any other", needs=NEEDS)
def paid(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    body, _ = _shown(world, lane)
    _pay(world, body, phone)
    fields = _demand_paid(lane, body, phone).ok()
    said = {name: fields[name] for name in ("response_code", "reason", "authorization_code", "policy_version")}
    _write(lane, Kind.ONLINE_OUTCOME, body, approved=True, account=phone.account, rules=[], lease=None, **said)
    lane.capture(phone, AMOUNT_MINOR, body["sale_id"])
    results = [row["result"] for row in lane.send()]
    if results[-2:] != ["accepted", "accepted"]:
        raise Broken("outcome and capture to be accepted", came=str(results))


@GROUP.case("P-04", "a code that nobody pays is declined when its time is over")
def expired(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    body, first = _shown(world, lane, valid_s=1)
    first.ok()

    def over() -> Exchange | None:
        exchange = _inquire(lane, body)
        return None if exchange.ok().get("pending") else exchange

    exchange = world.wait_for("an answer that is not pending", over, TOLD_WITHIN_S)
    said = (exchange.ok().get("approved"), exchange.ok().get("response_code"), exchange.ok().get("reason"))
    exchange.demand(said == (False, "54", "code_expired"), "a decline, code 54, reason code_expired")
    _tries_to_pay(world, body, phone)
    again = _inquire(lane, body)
    again.demand(again.content == exchange.content, "the same bytes as the decline")
    _decline(lane, body)


@GROUP.case("P-05", "a decline in the journal gives back what was paid", needs=NEEDS)
def given_up(world: World) -> None:
    lane, late = world.lane(), world.phone()
    phone = world.roomy_phone(lane, AMOUNT_MINOR)
    body, _ = _shown(world, lane)
    _decline(lane, body)
    _tries_to_pay(world, body, late)
    exchange = _inquire(lane, body)
    said = (exchange.ok().get("approved"), exchange.ok().get("response_code"))
    exchange.demand(said == (False, "94"), "a decline, code 94")
    body, _ = _shown(world, lane)
    _pay(world, body, phone)
    _demand_paid(lane, body, phone)
    _decline(lane, body)
    if not lane.is_approved(phone, AMOUNT_MINOR):
        raise Broken("what was given back to be available again", came="a decline")
    lane.send()


@GROUP.case("P-06", "a payment is told to the lane", needs=NEEDS)
def told(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    body, _ = _shown(world, lane)
    cursor = lane.line.get("/v1/events?wait_s=0", Accept="application/json").ok()["cursor"]
    _pay(world, body, phone)
    wanted = {"lender": body["lender"], "sale_id": body["sale_id"], "attempt": 1}
    deadline = time.monotonic() + TOLD_WITHIN_S
    while time.monotonic() < deadline:
        fields = lane.line.get(f"/v1/events?wait_s=1&after={cursor}", Accept="application/json").ok()
        cursor = fields["cursor"]
        if any(event["type"] == "authorization" and event["data"] == wanted for event in fields["events"]):
            _decline(lane, body)
            return
    raise Broken(f"an event authorization {wanted} within {TOLD_WITHIN_S} s", came="nothing of the kind")


@GROUP.case("P-07", "a code is paid once, and only as it is shown", needs=NEEDS)
def once(world: World) -> None:
    lane, phone, other = world.lane(), world.phone(), world.phone()
    body, _ = _shown(world, lane)
    cheaper = {"text": _code(world, lane, body["sale_id"], amount_minor=1), "valid_s": VALID_S}
    _tries_to_pay(world, body | {"merchant_code": cheaper}, other)
    exchange = _inquire(lane, body)
    exchange.demand(exchange.ok().get("pending") is True, "still pending: a changed code pays nothing")
    _pay(world, body, phone)
    first = _demand_paid(lane, body, phone)
    _tries_to_pay(world, body, other)
    again = _inquire(lane, body)
    again.demand(again.content == first.content, "the same bytes as before")
    _decline(lane, body)
