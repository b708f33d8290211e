"""Sales by wallet: paid, pending and declined by a rail, and what the lane's journal decides about them."""

from __future__ import annotations

import os
from typing import Any, Final

from agent.conformance.case import Group
from agent.conformance.exchange import Broken, Exchange
from agent.conformance.kit import Wallet
from agent.conformance.lane import Lane, b64url
from agent.conformance.world import World
from agent.core.journal import Kind
from agent.core.settlement import Totals

GROUP = Group("wallets")
NEEDS: Final = ("wallet",)
AMOUNT_MINOR: Final = 100


def _wallet(world: World) -> Wallet:
    assert world.kit.wallet is not None, "the cases need it"
    return world.kit.wallet


def _body(world: World, lane: Lane, code: str, sale_id: str | None = None, /, **other: Any) -> dict[str, Any]:
    """A question that shows a wallet's code instead of a pass."""
    body = lane.request(world.bystander(), AMOUNT_MINOR, sale_id or lane.new_sale(), lender=_wallet(world).rail)
    del body["pass"]
    return body | {"wallet_code": code} | other


def _write(world: World, lane: Lane, kind: str, sale_id: str, **other: Any) -> None:
    """An entry of the wallet's sale; there is no account in it."""
    body = {"amount_minor": AMOUNT_MINOR, "currency": lane.currency, "category": "5411", "capture": "at_once"}
    body |= {"account": None, "cti": None, "code": os.urandom(8)}
    lane.write(kind, body | other, lender=_wallet(world).rail, sale_id=sale_id)


def _decline(world: World, lane: Lane, sale_id: str) -> list[dict[str, Any]]:
    _write(world, lane, Kind.DECLINE, sale_id, response_code="68", reason="wallet_unanswered")
    return lane.send()


def _paid(world: World, lane: Lane) -> tuple[dict[str, Any], Exchange]:
    body = _body(world, lane, _wallet(world).pays)
    _write(world, lane, Kind.ONLINE_INTENT, body["sale_id"], scanned_at=0, lease=None)
    exchange = lane.ask(body)
    fields = exchange.ok()
    exchange.demand(fields.get("approved") is True and fields.get("response_code") == "00", "an approval, code 00")
    return body, exchange


def _inquire(lane: Lane, body: dict[str, Any]) -> Exchange:
    return lane.line.get(f"/v1/authorizations/{body['lender']}/{body['sale_id']}/1")


def _demand_tombstone(exchange: Exchange) -> None:
    fields = exchange.ok()
    exchange.demand(fields.get("approved") is False and fields.get("response_code") == "94", "a decline, code 94")


@GROUP.case("W-01", "a question shows a pass or a wallet's code, and not both", needs=NEEDS)
def one_code(world: World) -> None:
    lane, code = world.lane(), _wallet(world).pays
    both, none = _body(world, lane, code) | {"pass": "x"}, _body(world, lane, code) | {"wallet_code": None}
    for body in (both, none, _body(world, lane, "1" * 15), _body(world, lane, "1" * 25), _body(world, lane, "x" * 18)):
        lane.ask(body).problem(400, "malformed")


@GROUP.case("W-02", "a wallet that pays is an approval, and stays one", needs=NEEDS)
def pays(world: World) -> None:
    lane = world.lane()
    body, first = _paid(world, lane)
    fields = first.ok()
    first.demand(fields.get("amount") == body["amount"], f"the amount {body['amount']}")
    first.demand(fields.get("lease_used_minor") == 0 and not fields.get("pending"), "nothing of a lease, not pending")
    for again in (lane.ask(body), _inquire(lane, body)):
        again.demand(again.content == first.content, "the same bytes as the first answer")
    _decline(world, lane, body["sale_id"])


@GROUP.case("W-03", "while the customer confirms, the answer is pending", needs=NEEDS)
def pending(world: World) -> None:
    lane = world.lane()
    body = _body(world, lane, _wallet(world).pends)
    for exchange in (lane.ask(body), _inquire(lane, body)):
        fields = exchange.ok()
        waits = fields.get("approved") is False and fields.get("pending") is True
        exchange.demand(waits and fields.get("response_code") == "09", "pending, not approved, code 09")
        exchange.demand(fields.get("reason") == "wallet_pending", "reason wallet_pending")
    _decline(world, lane, body["sale_id"])


@GROUP.case("W-04", "what the wallet declines is declined for good", needs=NEEDS)
def declines(world: World) -> None:
    lane = world.lane()
    body = _body(world, lane, _wallet(world).declines)
    for exchange in (lane.ask(body), _inquire(lane, body)):
        fields = exchange.ok()
        is_final = fields.get("approved") is False and not fields.get("pending")
        exchange.demand(is_final and fields.get("amount") is None, "a final decline")


@GROUP.case("W-05", "a decline in the journal ends a payment, pending or paid", needs=NEEDS)
def declined_by_lane(world: World) -> None:
    lane, wallet = world.lane(), _wallet(world)
    for code in (wallet.pends, wallet.pays):
        body = _body(world, lane, code)
        lane.ask(body).ok()
        (result,) = _decline(world, lane, body["sale_id"])
        exchange = _inquire(lane, body)
        exchange.demand(result["result"] == "accepted", "the decline to be accepted")
        _demand_tombstone(exchange)


@GROUP.case("W-06", "a question after the lane's decision takes no money", needs=NEEDS)
def too_late(world: World) -> None:
    lane, sale_id = world.lane(), world.lane().new_sale()
    _decline(world, lane, sale_id)
    _demand_tombstone(lane.ask(_body(world, lane, _wallet(world).pays, sale_id)))


@GROUP.case("W-07", "an approval that no wallet gave is the merchant's to bear", needs=NEEDS)
def not_paid(world: World) -> None:
    lane = world.lane()
    _write(world, lane, Kind.ONLINE_OUTCOME, lane.new_sale(), approved=True, **lane.decided())
    exchange = lane.upload()
    lane.sent = lane.head.number
    (row,) = lane.results(exchange)
    said = (row["result"], row.get("reason"))
    exchange.demand(said == ("disputed", "wallet_not_paid"), "disputed: wallet_not_paid")


@GROUP.case("W-08", "a rail's batch is matched by its own entries", needs=NEEDS)
def batch(world: World) -> None:
    lane = world.lane()
    first = lane.head.number + 1
    body, _ = _paid(world, lane)
    _write(world, lane, Kind.ONLINE_OUTCOME, body["sale_id"], approved=True, **lane.decided())
    _write(world, lane, Kind.CAPTURE, body["sale_id"])
    lane.send()
    totals = Totals()
    totals.add(Kind.ONLINE_OUTCOME, {"approved": True, "amount_minor": AMOUNT_MINOR})
    totals.add(Kind.CAPTURE, {"amount_minor": AMOUNT_MINOR})
    asked = {"lender": body["lender"], "epoch": lane.head.epoch, "batch": 1, "first_number": first}
    asked |= {"last_number": lane.head.number, "chain_head": b64url(lane.head.hash), "totals": totals.to_wire()}
    exchange = lane.line.post("/v1/settlements", asked)
    exchange.demand(exchange.ok().get("matched") is True, "a match")


@GROUP.case("W-09", "a rail that is not served is refused", needs=NEEDS)
def not_served(world: World) -> None:
    lane = world.lane()
    lane.ask(_body(world, lane, _wallet(world).pays, lender="wallet_nobodys")).problem(404, "lender_unknown")
    lane.ask(_body(world, lane, _wallet(world).pays, lender=world.lender)).problem(404, "lender_unknown")


@GROUP.case("W-10", "an enrollment tells which wallets are served", needs=NEEDS)
def told(world: World) -> None:
    rails = world.lane().answer.get("rails")
    served = [row.get("rail") for row in rails] if isinstance(rails, list) else []
    if _wallet(world).rail not in served:
        raise Broken(f"rails with {_wallet(world).rail} in the answer to an enrollment", came=str(rails))
