"""Sales in instalments: what was offered is checked, what was disclosed is kept, and a coupon counts once."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final

from agent.conformance import snapshot
from agent.conformance.case import Group
from agent.conformance.exchange import Broken, Skipped
from agent.conformance.kit import Phone
from agent.conformance.lane import CATEGORY, Lane, b64url
from agent.conformance.world import World
from agent.core.coupons import Coupon, read_coupon
from agent.core.disclosure import Choice, Statement, statement
from agent.core.instalments import offer
from agent.core.journal import Kind
from agent.core.plans import Instalments, Plan
from agent.core.policy import read_policy, verify_policy

GROUP = Group("instalments")
AMOUNT_MINOR: Final = 50_000
LEASED_MINOR: Final = 300


def _terms(world: World, lane: Lane) -> Instalments:
    keys = snapshot.key_list(lane, world.lender)
    content = lane.line.get(f"/v1/policy?lender={world.lender}").is_(200).content
    terms = verify_policy(content, keys, at=int(time.time())).instalments
    if terms is None:
        raise Skipped("the policy has no instalments")
    return terms


def _plan_for(terms: Instalments, amount_minor: int) -> Plan:
    for plan in reversed(terms.plans):
        if plan.is_for(amount_minor, CATEGORY):
            return plan
    raise Skipped(f"the policy has no plan for {amount_minor} minor units")


def _offered(terms: Instalments, lane: Lane, amount_minor: int, coupon: Coupon | None = None) -> Statement:
    return _stated(terms, _plan_for(terms, amount_minor), lane, amount_minor, coupon)


def _stated(terms: Instalments, plan: Plan, lane: Lane, amount_minor: int, coupon: Coupon | None = None) -> Statement:
    made = offer(plan, amount_minor, _today(), interest_free=coupon is not None)
    return statement(terms, made, lane.currency, _today(), coupon)


def _today() -> date:
    return datetime.now(UTC).date()


def _wish(said: Statement, coupon: str | None = None, **other: Any) -> dict[str, Any]:
    wish = {"id": said.plan_id, "statement": b64url(said.digest), "sold_on": said.sold_on.isoformat()}
    return wish | {"coupon": coupon} | other


def _disclose(lane: Lane, phone: Phone, said: Statement, sale_id: str, coupon: str | None = None) -> None:
    facts = lane.facts(phone, said.principal_minor)
    body = {name: facts[name] for name in ("amount_minor", "currency", "category", "capture", "account")}
    now_s = int(time.time())
    policy = lane.line.get(f"/v1/policy?lender={phone.lender}").is_(200).content
    body |= {
        "policy_version": read_policy(policy).version,
        "statement": said.encode(),
        "coupon": coupon,
        "language": "en",
    }
    body |= {"shown_at": now_s - 9, "chosen_at": now_s}
    lane.write(Kind.DISCLOSURE, body, lender=phone.lender, sale_id=sale_id)


def _alone(lane: Lane, phone: Phone, said: Statement, coupon: str | None = None) -> str:
    """Disclosed and approved by the lane alone, from its lease."""
    sale_id = lane.new_sale()
    _disclose(lane, phone, said, sale_id, coupon)
    return lane.stand_in(phone, said.principal_minor, sale_id, plan=Choice.of(said).to_body())


def _expect(rows: list[dict[str, Any]], *expected: str) -> None:
    found = [":".join(str(row[name]) for name in ("result", "reason") if row.get(name)) for row in rows]
    found = [text.replace("duplicate", "accepted") for text in found][-len(expected) :]
    if found != list(expected):
        raise Broken(f"results {', '.join(expected)}", sent="POST /v1/journal", came=str(rows))


def _declined(lane: Lane, phone: Phone, wish: dict[str, Any], said: str, /, minor: int = 0) -> None:
    """``said`` is the code and the reason, with a space between."""
    sale_id, answer = lane.buy(phone, minor or AMOUNT_MINOR, plan=wish)
    if answer["approved"] or f"{answer['response_code']} {answer['reason']}" != said:
        raise Broken(f"a decline: {said}", came=str(answer))
    lane.decline(phone, minor or AMOUNT_MINOR, sale_id)


def _coupon(world: World, lane: Lane) -> tuple[Phone, str, Coupon]:
    phone, text = world.coupon()
    return phone, text, read_coupon(text, snapshot.key_list(lane, world.lender), at=int(time.time()))


def _sold(lane: Lane, phone: Phone, said: Statement, captured_minor: int) -> None:
    """A sale by a plan, asked for online and captured once."""
    sale_id = lane.new_sale()
    _disclose(lane, phone, said, sale_id)
    _, answer = lane.buy(phone, AMOUNT_MINOR, sale_id=sale_id, plan=_wish(said))
    if not answer["approved"]:
        raise Broken("an approval", came=str(answer))
    used, plan = answer["lease_used_minor"], Choice.of(said).to_body()
    lane.outcome(phone, AMOUNT_MINOR, sale_id, used_minor=used, plan=plan)
    lane.capture(phone, captured_minor, sale_id)


@GROUP.case("I-01", "a plan that adds up is approved, and its entries are accepted")
def in_instalments(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    _sold(lane, phone, _offered(_terms(world, lane), lane, AMOUNT_MINOR), AMOUNT_MINOR)
    _expect(lane.send(), "accepted", "accepted", "accepted", "accepted")


@GROUP.case("I-02", "a plan that the policy does not have is declined")
def unknown_plan(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    said = _offered(_terms(world, lane), lane, AMOUNT_MINOR)
    _declined(lane, phone, _wish(said, id="no-such-plan"), "12 plan_unknown")


@GROUP.case("I-03", "a plan is not for amounts outside of its range")
def out_of_range(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    terms = _terms(world, lane)
    plan = _plan_for(terms, AMOUNT_MINOR)
    if plan.amount_min_minor < 2:
        raise Skipped("the plan is for any amount")
    wish = _wish(_offered(terms, lane, AMOUNT_MINOR))
    _declined(lane, phone, wish, "57 plan_not_offered", plan.amount_min_minor - 1)


@GROUP.case("I-04", "a statement that is not what the policy makes of the sale is declined")
def other_statement(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    said = _offered(_terms(world, lane), lane, AMOUNT_MINOR)
    for other in ({"statement": b64url(bytes(32))}, {"sold_on": "2020-02-29"}):
        _declined(lane, phone, _wish(said, **other), "12 plan_changed")


@GROUP.case("I-05", "a text that is no coupon of the lender is declined")
def no_coupon(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    said = _offered(_terms(world, lane), lane, AMOUNT_MINOR)
    _declined(lane, phone, _wish(said, "SAVE10"), "12 coupon_malformed")


@GROUP.case("I-06", "a coupon pays for one sale", needs=("coupons",))
def used_online(world: World) -> None:
    lane = world.lane()
    phone, text, coupon = _coupon(world, lane)
    said = _offered(_terms(world, lane), lane, AMOUNT_MINOR, coupon)
    sale_id = lane.new_sale()
    _disclose(lane, phone, said, sale_id, text)
    _, answer = lane.buy(phone, AMOUNT_MINOR, sale_id=sale_id, plan=_wish(said, text))
    if not answer["approved"]:
        raise Broken("an approval of the first sale with the coupon", came=str(answer))
    _declined(lane, phone, _wish(said, text), "94 coupon_used")
    lane.decline(phone, AMOUNT_MINOR, sale_id)
    lane.send()
    _, again = lane.buy(phone, AMOUNT_MINOR, plan=_wish(said, text))
    if not again["approved"]:
        raise Broken("an approval, because the sale that used the coupon was declined", came=str(again))


@GROUP.case("I-07", "the second use of a coupon is disputed, and its sale stands", needs=("coupons",))
def used_alone(world: World) -> None:
    lane = world.leasing_lane()
    phone, text, coupon = _coupon(world, lane)
    world.lease(lane, phone)
    said = _offered(_terms(world, lane), lane, LEASED_MINOR // 2, coupon)
    for _ in range(2):
        lane.capture(phone, said.principal_minor, _alone(lane, phone, said, text))
    rows = lane.send()
    _expect(rows, "accepted", "accepted", "accepted", "accepted", "disputed:coupon_used", "accepted")
    if rows[-2].get("bearer") != coupon.borne_by:
        raise Broken(f"the bearer {coupon.borne_by}", sent="POST /v1/journal", came=str(rows[-2]))


@GROUP.case("I-08", "a plan that was not disclosed is disputed, and its sale stands")
def undisclosed(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    world.lease(lane, phone)
    said = _offered(_terms(world, lane), lane, LEASED_MINOR)
    sale_id = lane.stand_in(phone, LEASED_MINOR, plan=Choice.of(said).to_body())
    lane.capture(phone, LEASED_MINOR, sale_id)
    _expect(lane.send(), "disputed:plan_undisclosed", "accepted")


@GROUP.case("I-09", "a disclosure that is no statement is parked")
def no_statement(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    facts = lane.facts(phone, AMOUNT_MINOR, statement=b"\x00", coupon=None)
    lane.write(Kind.DISCLOSURE, facts, lender=phone.lender, sale_id=lane.new_sale())
    _expect(lane.send(), "parked:body_malformed")


@GROUP.case("I-10", "a disclosure of what the policy does not offer is parked")
def not_offered(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    said = _offered(_terms(world, lane), lane, AMOUNT_MINOR)
    _disclose(lane, phone, replace(said, fee_rate="0.99"), lane.new_sale())
    _expect(lane.send(), "parked:plan_differs")


@GROUP.case("I-11", "the merchant's share of a fee is that of what was captured")
def captured_in_part(world: World) -> None:
    lane = world.lane()
    terms = _terms(world, lane)
    plan = next((plan for plan in terms.plans if plan.merchant_percent and plan.is_for(AMOUNT_MINOR, CATEGORY)), None)
    if plan is None:
        raise Skipped(f"the policy has no plan for {AMOUNT_MINOR} minor units of whose fee merchants bear a part")
    said, shares = _stated(terms, plan, lane, AMOUNT_MINOR), []
    for captured_minor in (AMOUNT_MINOR, AMOUNT_MINOR // 5):
        first_number = lane.head.number + 1
        _sold(lane, world.phone(), said, captured_minor)
        by_plan = _merchant_fee_minor(world, lane, first_number)
        first_number, phone = lane.head.number + 1, world.phone()
        sale_id, _ = lane.buy(phone, captured_minor)
        lane.outcome(phone, captured_minor, sale_id)
        lane.capture(phone, captured_minor, sale_id)
        shares.append(by_plan - _merchant_fee_minor(world, lane, first_number))
    if shares != [said.merchant_fee_minor, said.merchant_fee_minor // 5]:
        raise Broken(f"a merchant's share of {said.merchant_fee_minor}, and of a fifth of it", came=str(shares))


def _merchant_fee_minor(world: World, lane: Lane, first_number: int) -> int:
    """What a batch from there to the head costs the merchant; its totals need not agree."""
    lane.send()
    body = {"lender": world.lender, "epoch": lane.head.epoch, "batch": first_number, "first_number": first_number}
    body |= {"last_number": lane.head.number, "chain_head": b64url(lane.head.hash), "totals": {}}
    fee = lane.line.post("/v1/settlements", body).ok().get("merchant_fee")
    return int(fee["minor"]) if fee else 0
