"""Settlement of a batch, the exceptions that people must look at, and what is left to refund."""

from __future__ import annotations

from typing import Any, NamedTuple

from agent.conformance.case import Group
from agent.conformance.exchange import Broken, Exchange
from agent.conformance.kit import Phone
from agent.conformance.lane import Lane, b64url
from agent.conformance.world import World
from agent.core.settlement import Totals

GROUP = Group("settlement")
EXCEPTIONS_PER_PAGE_MAX = 500


class _Day(NamedTuple):
    """What a batch is made of: a lane, a phone, and the number of the day's first entry."""

    lane: Lane
    phone: Phone
    first: int


def _day(world: World) -> _Day:
    """Two approvals, a decline, a capture and a reversal, all of it sent."""
    lane, phone = world.lane(), world.phone()
    first = lane.head.number + 1
    sales = []
    for amount_minor in (70, 30):
        sale_id, answer = lane.buy(phone, amount_minor)
        if not answer["approved"]:
            raise Broken("an approval", came=str(answer))
        lane.outcome(phone, amount_minor, sale_id)
        sales.append(sale_id)
    lane.decline(phone, 7, lane.new_sale())
    lane.capture(phone, 70, sales[0])
    lane.reverse(phone, 30, sales[1])
    lane.send()
    return _Day(lane, phone, first)


def _batch(day: _Day, *, last: int | None = None, **other: Any) -> dict[str, Any]:
    """The honest figures of the day, or of its entries up to ``last``."""
    lane, lender, totals = day.lane, day.phone.lender, Totals()
    last = last or lane.head.number
    for sealed in lane.entries[day.first - 1 : last]:
        totals.add(sealed.entry.kind, sealed.entry.body)
    body = {"lender": lender, "epoch": lane.head.epoch, "batch": day.first, "first_number": day.first}
    body |= {"last_number": last, "chain_head": b64url(lane.entries[last - 1].hash), "totals": totals.to_wire()}
    return body | other


def _settle(lane: Lane, body: dict[str, Any]) -> Exchange:
    return lane.line.post("/v1/settlements", body)


@GROUP.case("B-01", "a batch that agrees is matched")
def matched(world: World) -> None:
    day = _day(world)
    body = _batch(day)
    exchange = _settle(day.lane, body)
    fields = exchange.ok()
    exchange.demand(fields.get("matched") is True and fields.get("differences") == [], "matched, without differences")
    exchange.demand(fields.get("totals") == body["totals"], f"totals {body['totals']}")
    exchange.demand(fields.get("chain_head") == body["chain_head"], f"chain_head {body['chain_head']}")


@GROUP.case("B-02", "the answer says what the merchant is paid, and when")
def payout(world: World) -> None:
    day = _day(world)
    exchange = _settle(day.lane, _batch(day))
    fields = exchange.ok()
    for name in ("merchant_fee", "net_payout"):
        amount = fields.get(name)
        is_amount = isinstance(amount, dict) and type(amount.get("minor")) is int and amount.get("minor", 0) > 0
        exchange.demand(name in fields and (amount is None or is_amount), f"{name}: an amount, or null for nothing")
    day = fields.get("payout_date", "")
    exchange.demand(isinstance(day, str) and len(day) == 10 and day[4] == day[7] == "-", "payout_date: YYYY-MM-DD")


@GROUP.case("B-03", "every total that differs is named with both figures")
def totals_differ(world: World) -> None:
    day = _day(world)
    body = _batch(day)
    wrong = body["totals"] | {"captured": {"count": 2, "minor": 71}, "approved": {"count": 0, "minor": 0}}
    exchange = _settle(day.lane, body | {"totals": wrong})
    fields = exchange.ok()
    exchange.demand(fields.get("matched") is False, "not matched")
    named = {row.get("name"): row for row in fields["differences"] if row.get("what") == "total"}
    exchange.demand(set(named) == {"captured", "approved"}, "a difference for captured and one for approved")
    both = {"lane": {"count": 2, "minor": 71}, "backend": {"count": 1, "minor": 70}}
    exchange.demand({name: named["captured"].get(name) for name in both} == both, f"the figures {both}")


@GROUP.case("B-04", "a chain head that differs is named")
def head_differs(world: World) -> None:
    day = _day(world)
    exchange = _settle(day.lane, _batch(day, chain_head=b64url(bytes(32))))
    fields = exchange.ok()
    exchange.demand(fields.get("matched") is False, "not matched")
    exchange.demand([row.get("what") for row in fields["differences"]] == ["chain_head"], "a difference chain_head")
    exchange.demand(fields.get("chain_head") == b64url(day.lane.head.hash), "the backend's own chain_head")


@GROUP.case("B-05", "a batch beyond what has been received waits")
def behind(world: World) -> None:
    day = _day(world)
    exchange = _settle(day.lane, _batch(day) | {"last_number": day.lane.head.number + 1})
    members = exchange.problem(409, "journal_behind")
    exchange.demand(
        members.get("acknowledged_through") == day.lane.head.number, f"acknowledged_through {day.lane.head.number}"
    )


@GROUP.case("B-06", "a batch is closed once: the same figures get the same answer, others a conflict")
def repeated(world: World) -> None:
    day = _day(world)
    body = _batch(day)
    first = _settle(day.lane, body)
    first.ok()
    again = _settle(day.lane, body)
    again.demand(again.status == 200 and again.content == first.content, "the same bytes as the first answer")
    other = body | {"totals": body["totals"] | {"approved": {"count": 9, "minor": 9}}}
    _settle(day.lane, other).problem(409, "settlement_conflict")


@GROUP.case("B-07", "a batch counts the entries of its lender and its numbers only")
def range_(world: World) -> None:
    day = _day(world)
    exchange = _settle(day.lane, _batch(day, last=day.first + 3))
    exchange.demand(
        exchange.ok().get("matched") is True, "matched: the first four entries of the day, two of them sold"
    )


@GROUP.case("B-08", "a lender that is not served here is not found")
def other_lender(world: World) -> None:
    day = _day(world)
    _settle(day.lane, _batch(day, lender="nobody")).problem(404, "lender_unknown")


# --- exceptions ------------------------------------------------------------------------------------------------
def _page(lane: Lane, after: str | None = None) -> tuple[list[dict[str, Any]], str, Exchange]:
    exchange = lane.line.get("/v1/exceptions" + ("" if after is None else f"?after={after}"))
    fields = exchange.ok()
    rows, cursor = fields.get("exceptions"), fields.get("cursor")
    exchange.demand(isinstance(rows, list) and isinstance(cursor, str), "exceptions: a list, and cursor: a text")
    exchange.demand(len(rows or []) <= EXCEPTIONS_PER_PAGE_MAX, f"at most {EXCEPTIONS_PER_PAGE_MAX} rows")
    return rows or [], str(cursor), exchange


def _troubled(world: World) -> tuple[Lane, Phone, str]:
    """A fresh lane with a parked capture and, two entries on, a disputed approval."""
    lane, phone = world.fresh_lane(), world.bystander()
    lane.capture(phone, 5, lane.new_sale())
    sale_id = _unanswered(lane, phone)
    lane.send()
    return lane, phone, sale_id


def _unanswered(lane: Lane, phone: Phone) -> str:
    """An approval that the lane calls online and nobody gave: disputed whatever the lane's leases are."""
    sale_id = lane.new_sale()
    lane.intend(phone, 100, sale_id)
    lane.outcome(phone, 100, sale_id)
    return sale_id


@GROUP.case("X-01", "every disputed or parked entry of the lane is listed with amount, reason and bearer")
def listed(world: World) -> None:
    lane, phone, sale_id = _troubled(world)
    rows, _, exchange = _page(lane)
    exchange.demand([row["result"] for row in rows] == ["parked", "disputed"], "a parked and a disputed entry")
    numbers = [row["number"] for row in rows]
    expected_numbers = [lane.head.number - 2, lane.head.number]
    exchange.demand(numbers == expected_numbers, f"numbers {expected_numbers}")
    last = rows[-1]
    told = {name: last.get(name) for name in ("epoch", "reason", "bearer", "lender", "sale_id", "amount")}
    expected = {"epoch": lane.head.epoch, "reason": "online_not_answered", "bearer": "lender"}
    expected |= {"lender": phone.lender, "sale_id": sale_id, "amount": {"minor": 100, "currency": lane.currency}}
    exchange.demand(told == expected, f"{expected}")


@GROUP.case("X-02", "a cursor goes on where the page before ended")
def cursor(world: World) -> None:
    lane, phone, _ = _troubled(world)
    _, after, _ = _page(lane)
    rows, again, exchange = _page(lane, after)
    exchange.demand(rows == [] and again, "no row after the last cursor, and a cursor again")
    _unanswered(lane, phone)
    lane.send()
    rows, _, exchange = _page(lane, again)
    exchange.demand([row["number"] for row in rows] == [lane.head.number], f"entry {lane.head.number} and nothing else")


@GROUP.case("X-03", "a lane sees its own exceptions only")
def own(world: World) -> None:
    _troubled(world)
    rows, _, exchange = _page(world.fresh_lane())
    exchange.demand(rows == [], "no exception of a lane that has sent nothing")


@GROUP.case("X-04", "a cursor that nobody gave is refused")
def wrong_cursor(world: World) -> None:
    world.lane().line.get("/v1/exceptions?after=%00nonsense!").problem(400, "malformed")


# --- refunds ---------------------------------------------------------------------------------------------------
def _refundable(lane: Lane, owner: str, sale_id: str, lender: str) -> Exchange:
    return lane.line.get(f"/v1/sales/{owner}/{sale_id}/refundable?lender={lender}")


def _captured(world: World) -> tuple[Lane, Phone, str]:
    lane, phone = world.lane(), world.phone()
    sale_id, answer = lane.buy(phone, 300)
    if not answer["approved"]:
        raise Broken("an approval", came=str(answer))
    lane.outcome(phone, 300, sale_id)
    lane.capture(phone, 300, sale_id)
    lane.send()
    return lane, phone, sale_id


@GROUP.case("F-01", "another lane of the merchant learns what is left to refund")
def refundable(world: World) -> None:
    lane, phone, sale_id = _captured(world)
    other = world.lane()
    for asking in (lane, other):
        exchange = _refundable(asking, lane.name, sale_id, phone.lender)
        amount = {"minor": 300, "currency": lane.currency}
        expected = {"lender": phone.lender, "lane": lane.name, "sale_id": sale_id, "attempt": 1}
        expected |= {"captured": amount, "refunded": None, "refundable": amount}
        fields = exchange.ok()
        exchange.demand({name: fields.get(name) for name in expected} == expected, f"{expected}")


@GROUP.case("F-02", "a sale that nobody made is not found")
def no_sale(world: World) -> None:
    lane = world.lane()
    _refundable(lane, lane.name, "never-made-1", world.lender).problem(404, "sale_unknown")


@GROUP.case("F-03", "a lane of another merchant is not told", needs=("other_merchant_code",))
def other_merchant(world: World) -> None:
    from agent.conformance.enrollment import Applicant

    lane, phone, sale_id = _captured(world)
    applicant = Applicant.new()
    code = world.kit.other_merchant_code or ""
    stranger = world.adopt(applicant, world.stranger.post("/v1/enroll", applicant.body(code)).ok())
    _refundable(stranger, lane.name, sale_id, phone.lender).problem(403, "lane_mismatch")


@GROUP.case("F-04", "a refund lowers what is left, and what exceeds it is disputed")
def refunded(world: World) -> None:
    lane, phone, sale_id = _captured(world)
    body = {"amount_minor": 100, "currency": lane.currency}
    for amount_minor, left_minor in ((100, 200), (201, 0)):
        lane.write("refund", body | {"amount_minor": amount_minor}, lender=phone.lender, sale_id=sale_id)
        row = lane.send()[-1]
        expected = ("disputed", "parked") if amount_minor > 200 else ("accepted", "duplicate")
        if row["result"] not in expected:
            raise Broken(f"the refund of {amount_minor} to be {' or '.join(expected)}", came=str(row))
        exchange = _refundable(lane, lane.name, sale_id, phone.lender)
        left = exchange.ok().get("refundable") or {"minor": 0}
        at_most = left["minor"] <= 200 if row["result"] == "parked" else left["minor"] == left_minor
        exchange.demand(at_most, f"refundable {left_minor}")


_Sold = tuple[str, Phone, str]
"""A captured sale: its lane, whose credit it was, its id."""


def _asked(lane: Lane, sale: _Sold, amount_minor: int, request: str) -> Exchange:
    """Ask at ``lane`` for a refund of another lane's sale; the request's id is of this sale alone."""
    owner, phone, sale_id = sale
    request = f"{request}-{sale_id}"
    body = {"lender": phone.lender, "request_id": request, "lane": owner, "sale_id": sale_id, "epoch": lane.head.epoch}
    body |= {"amount": {"minor": amount_minor, "currency": lane.currency}}
    return lane.line.post("/v1/refunds", body, Idempotency_Key=f"{phone.lender}/{lane.name}/{request}")


def _ended(lane: Lane, sale: _Sold, amount_minor: int, request: str, *, approved: bool) -> str:
    owner, phone, sale_id = sale
    body = {"amount_minor": amount_minor, "currency": lane.currency, "lane": owner, "sale_id": sale_id}
    body |= {"request": f"{request}-{sale_id}", "approved": approved, "attempt": 1 if approved else None}
    lane.write("refund_outcome", body | {"response_code": "00", "reason": "refunded"}, lender=phone.lender)
    return str(lane.send()[-1]["result"])


def _left_minor(lane: Lane, owner: str, phone: Phone, sale_id: str) -> int:
    return int((_refundable(lane, owner, sale_id, phone.lender).ok().get("refundable") or {"minor": 0})["minor"])


@GROUP.case("F-05", "a refund that another lane asks for is set aside")
def set_aside(world: World) -> None:
    lane, phone, sale_id = _captured(world)
    sale = lane.name, phone, sale_id
    other = world.lane()
    exchange = _asked(other, sale, 200, "refund-1")
    fields = exchange.ok()
    exchange.demand(fields.get("approved") is True and fields.get("attempt") == 1, "approved, of attempt 1")
    exchange.demand(_left_minor(lane, lane.name, phone, sale_id) == 100, "100 left")


@GROUP.case("F-06", "a refund is asked for again, the same and another")
def asked_again(world: World) -> None:
    lane, phone, sale_id = _captured(world)
    sale = lane.name, phone, sale_id
    other = world.lane()
    first = _asked(other, sale, 200, "refund-1").ok()
    again = _asked(other, sale, 200, "refund-1")
    again.demand(again.ok() == first, f"the same answer {first}")
    _asked(other, sale, 100, "refund-1").problem(409, "idempotency_conflict")


@GROUP.case("F-07", "the asking lane's journal books a refund, or drops it")
def booked(world: World) -> None:
    lane, phone, sale_id = _captured(world)
    sale = lane.name, phone, sale_id
    other = world.lane()
    for request, approved, left_minor in (("refund-1", True, 200), ("refund-2", False, 200)):
        _asked(other, sale, 100, request).ok()
        if (result := _ended(other, sale, 100, request, approved=approved)) != "accepted":
            raise Broken("the outcome to be accepted", came=result)
        if (left := _left_minor(lane, lane.name, phone, sale_id)) != left_minor:
            raise Broken(f"{left_minor} left to refund", came=str(left))
    _ended(other, sale, 50, "refund-3", approved=False)
    late = _asked(other, sale, 50, "refund-3")
    late.demand(late.ok().get("approved") is False, "a late request to be declined")


@GROUP.case("F-08", "two lanes that refund one slip never exceed it")
def two_lanes(world: World) -> None:
    lane, phone, sale_id = _captured(world)
    sale = lane.name, phone, sale_id
    one, two = world.lane(), world.lane()
    _asked(one, sale, 200, "refund-1").ok()
    exchange = _asked(two, sale, 200, "refund-1")
    exchange.demand(exchange.ok().get("approved") is False, "no approval of more than is left")
