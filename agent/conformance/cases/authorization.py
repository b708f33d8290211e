"""One attempt, one answer: declines, repetition, inquiry, replayed passes and tombstones."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agent.conformance.case import Group
from agent.conformance.exchange import Broken, Exchange
from agent.conformance.kit import Phone
from agent.conformance.lane import Lane
from agent.conformance.line import encode
from agent.conformance.world import World
from agent.core import credit_pass
from agent.core.cose import SigningKey

GROUP = Group("authorization")
CLIENTS = 16


def _declined(exchange: Exchange, response_code: str, reason: str | None = None) -> None:
    fields = exchange.ok()
    exchange.demand(fields.get("approved") is False, "a decline")
    exchange.demand(fields.get("response_code") == response_code, f"response code {response_code}")
    exchange.demand(reason is None or fields.get("reason") == reason, f"reason {reason}")
    nothing = fields.get("amount") is None and fields.get("authorization_code") is None
    exchange.demand(nothing and fields.get("lease_used_minor") == 0, "no amount, no code, and nothing of the lease")


def _approved(exchange: Exchange) -> dict[str, object]:
    fields = exchange.ok()
    exchange.demand(fields.get("approved") is True and fields.get("response_code") == "00", "an approval, code 00")
    return fields


def _first(lane: Lane, phone: Phone, amount_minor: int = 100, /, **other: Any) -> tuple[dict[str, Any], Exchange]:
    """A journaled intent and its question: the body and what came."""
    sale_id = lane.new_sale()
    lane.intend(phone, amount_minor, sale_id)
    body = lane.request(phone, amount_minor, sale_id, **other)
    return body, lane.ask(body)


def _note(lane: Lane, phone: Phone, body: dict[str, Any]) -> None:
    lane.outcome(phone, body["amount"]["minor"], body["sale_id"])


@GROUP.case("A-01", "an approval names amount, code, policy and time")
def approval(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    body, exchange = _first(lane, phone)
    fields = _approved(exchange)
    exchange.demand(fields.get("amount") == body["amount"], f"the amount {body['amount']}")
    exchange.demand(isinstance(fields.get("authorization_code"), str) and fields["authorization_code"], "a code")
    exchange.demand(isinstance(fields.get("rules"), list), "rules: a list of ids")
    exchange.demand(type(fields.get("policy_version")) is int, "policy_version")
    exchange.demand(str(fields.get("decided_at", "")).endswith("Z"), "decided_at in UTC (RFC 3339)")
    exchange.demand(fields.get("lease_used_minor") == 0, "lease_used_minor 0: no debit was offered")
    _note(lane, phone, body)


@GROUP.case("A-02", "the same bytes get the same bytes")
def repeated(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    body, first = _first(lane, phone)
    _approved(first)
    for _ in range(3):
        again = lane.ask(body)
        again.demand(again.status == 200 and again.content == first.content, "the same bytes as the first answer")
    _note(lane, phone, body)


@GROUP.case("A-03", "other bytes under the same key are a conflict")
def conflict(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    body, first = _first(lane, phone)
    _approved(first)
    lane.ask(body, raw=encode(body) + b" ").problem(409, "idempotency_conflict")
    lane.ask(body | {"amount": {"minor": 101, "currency": lane.currency}}).problem(409, "idempotency_conflict")
    lane.ask(body).demand(lane.ask(body).content == first.content, "still the first answer for the first bytes")
    _note(lane, phone, body)


@GROUP.case("A-04", "a key that does not belong to the body is refused, and so is none")
def key(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    body = lane.request(phone, 100, lane.new_sale())
    good = lane.key_of(body)
    for wrong in (good + "0", good.upper(), good.replace(lane.name, "another-lane"), "x"):
        lane.ask(body, key=wrong).problem(400, "key_mismatch")
    lane.line.post("/v1/authorizations", body).problem(400, "key_mismatch")


@GROUP.case("A-05", "an inquiry gives the stored answer, approval or decline")
def inquiry(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    for amount_minor in (100, phone.limit_minor + 1):
        body, first = _first(lane, phone, amount_minor)
        found = lane.line.get(f"/v1/authorizations/{phone.lender}/{body['sale_id']}/1")
        found.demand(found.status == 200 and found.content == first.content, "the same bytes as the answer")
        if first.ok()["approved"]:
            _note(lane, phone, body)
        else:
            lane.decline(phone, amount_minor, body["sale_id"])


@GROUP.case("A-06", "an attempt that was never asked for is not found")
def unknown_attempt(world: World) -> None:
    lane = world.lane()
    for path in (f"{world.lender}/never-asked-1/1", f"{world.lender}/never-asked-1/2"):
        lane.line.get(f"/v1/authorizations/{path}").problem(404, "authorization_unknown")


@GROUP.case("A-07", "a lane sees no answer of another lane")
def other_lane(world: World) -> None:
    lane, other, phone = world.lane(), world.lane(), world.phone()
    body, first = _first(lane, phone)
    _approved(first)
    other.line.get(f"/v1/authorizations/{phone.lender}/{body['sale_id']}/1").problem(404, "authorization_unknown")
    _note(lane, phone, body)


@GROUP.case("A-08", "what is beyond the limit is declined with 51, as an answer")
def over_limit(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    _, exchange = _first(lane, phone, phone.limit_minor + 1)
    _declined(exchange, "51", "limit_exceeded")


@GROUP.case("A-09", "a pass past its time is declined with 54, by the backend's own clock")
def stale(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    old = phone.show_pass(now_s=int(time.time()) - 7_200, cti=os.urandom(8))
    _, exchange = _first(lane, phone, **{"pass": old})
    _declined(exchange, "54", "pass.proof_stale")


@GROUP.case("A-09", "a pass from the future is declined with 54")
def future(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    early = phone.show_pass(now_s=int(time.time()) + 7_200, cti=os.urandom(8))
    _, exchange = _first(lane, phone, **{"pass": early})
    _declined(exchange, "54", "pass.proof_from_future")


@GROUP.case("A-10", "what is no pass is declined with 12")
def no_pass(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    for text in ("", "aGVsbG8=", "…", "A" * 600, "https://pay.example/1"):
        _, exchange = _first(lane, phone, **{"pass": text})
        _declined(exchange, "12")


@GROUP.case("A-11", "a proof by another key is declined with 59")
def forged_proof(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    thief = SigningKey.from_seed("p256", os.urandom(32))
    proof = credit_pass.Proof(int(time.time()), os.urandom(8), True)
    code = credit_pass.assemble(phone.credential, credit_pass.issue_proof(phone.credential, proof, thief))
    _, exchange = _first(lane, phone, **{"pass": code})
    _declined(exchange, "59", "pass.proof_bad_signature")


@GROUP.case("A-11", "a credential that the lender did not sign is declined")
def forged_credential(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    forger, now_s = SigningKey.from_seed("ed25519", os.urandom(32)), int(time.time())
    false = credit_pass.Credential(phone.lender, phone.account, now_s - 60, now_s + 3600, phone.key.public)
    df01 = credit_pass.issue_credential(false, forger)
    proof = credit_pass.Proof(now_s, os.urandom(8), True)
    code = credit_pass.assemble(df01, credit_pass.issue_proof(df01, proof, phone.key))
    _, exchange = _first(lane, phone, **{"pass": code})
    _declined(exchange, "14", "pass.unknown_key")


@GROUP.case("A-12", "another currency is declined with 13")
def currency(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    _, exchange = _first(lane, phone, amount={"minor": 100, "currency": "XTS"})
    _declined(exchange, "13", "currency_mismatch")


@GROUP.case("A-13", "an account that the lender does not know is declined with 14", needs=("unknown_phone",))
def unknown_account(world: World) -> None:
    lane, phone = world.lane(), world.kit.unknown_phone
    assert phone is not None
    _, exchange = _first(lane, phone)
    _declined(exchange, "14", "account_unknown")


@GROUP.case("A-14", "a blocked account is declined with 05", needs=("blocked_phone",))
def blocked_account(world: World) -> None:
    lane, phone = world.lane(), world.kit.blocked_phone
    assert phone is not None
    _, exchange = _first(lane, phone)
    _declined(exchange, "05", "account_blocked")


@GROUP.case("A-15", "a pass pays one sale: shown again for another it is declined with 59")
def replayed(world: World) -> None:
    lane, other, phone = world.lane(), world.lane(), world.phone()
    body, first = _first(lane, phone)
    _approved(first)
    _note(lane, phone, body)
    _, exchange = _first(lane, phone, **{"pass": body["pass"]})
    _declined(exchange, "59", "proof_replayed")
    _, elsewhere = _first(other, phone, **{"pass": body["pass"]})
    _declined(elsewhere, "59", "proof_replayed")


@GROUP.case("A-16", "a new attempt of the same sale may show the same pass")
def same_sale(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    body, first = _first(lane, phone, phone.limit_minor + 1)
    _declined(first, "51")
    sale_id = body["sale_id"]
    lane.decline(phone, phone.limit_minor + 1, sale_id)
    lane.intend(phone, 100, sale_id, attempt=2)
    exchange = lane.ask(lane.request(phone, 100, sale_id, attempt=2, **{"pass": body["pass"]}))
    _approved(exchange)
    lane.outcome(phone, 100, sale_id, attempt=2)


@GROUP.case("A-17", "a request that arrives after the lane's own decline finds a tombstone")
def after_decline(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    sale_id = lane.new_sale()
    lane.intend(phone, 100, sale_id)
    body = lane.request(phone, 100, sale_id)
    lane.decline(phone, 100, sale_id)
    lane.send()
    _declined(lane.ask(body), "94", "tombstoned")


@GROUP.case("A-17", "a request that arrives after the lane's own approval finds a tombstone")
def after_stand_in(world: World) -> None:
    lane, phone = world.leasing_lane(), world.phone()
    world.lease(lane, phone)
    sale_id = lane.new_sale()
    lane.intend(phone, 100, sale_id, debit_minor=100)
    body = lane.request(phone, 100, sale_id, lease={"epoch": lane.head.epoch, "debit_minor": 100})
    lane.stand_in(phone, 100, sale_id)
    lane.send()
    _declined(lane.ask(body), "94", "tombstoned")


@GROUP.case("A-18", "a reversal of an attempt that nobody asked for leaves a tombstone too")
def after_reversal(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    sale_id = lane.new_sale()
    body = lane.request(phone, 100, sale_id)
    lane.reverse(phone, 100, sale_id)
    lane.send()
    _declined(lane.ask(body), "94", "tombstoned")


@GROUP.case("A-19", "a sale that stands approved is not approved again as another attempt")
def second_attempt(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    body, first = _first(lane, phone)
    _approved(first)
    _note(lane, phone, body)
    lane.send()
    _declined(lane.ask(lane.request(phone, 100, body["sale_id"], attempt=2)), "94", "tombstoned")


@GROUP.case("A-20", "an epoch that is not the lane's is refused")
def other_epoch(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    lane.ask(lane.request(phone, 100, lane.new_sale(), epoch=lane.head.epoch + 7)).problem(409, "epoch_unknown")


@GROUP.case("A-21", "a lender that is not served here is not found")
def other_lender(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    lane.ask(lane.request(phone, 100, lane.new_sale(), lender="nobody")).problem(404, "lender_unknown")


@GROUP.case("A-22", "many copies of one request at once get one answer")
def at_once(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    sale_id = lane.new_sale()
    lane.intend(phone, 100, sale_id)
    body = lane.request(phone, 100, sale_id)
    with ThreadPoolExecutor(CLIENTS) as pool:
        exchanges = list(pool.map(lambda _: lane.ask(body), range(CLIENTS)))
    answered = [exchange for exchange in exchanges if exchange.status not in (429, 503)]
    first = next(iter(answered), exchanges[0])
    for exchange in answered:
        exchange.demand(exchange.status == 200 and exchange.content == first.content, "the same bytes for every copy")
    _approved(first)
    lane.outcome(phone, 100, sale_id)


@GROUP.case("A-23", "a large sale without a verified user asks for step-up, and goes through with one")
def step_up(world: World) -> None:
    lane, phone = world.lane(), world.phone()
    if phone.limit_minor < 60_000:
        raise Broken("a phone of the kit with a limit of at least 60000", came=str(phone.limit_minor))
    code = phone.show_pass(now_s=int(time.time()), cti=os.urandom(8), user_verified=False)
    body, exchange = _first(lane, phone, 50_000, **{"pass": code})
    fields = exchange.ok()
    if fields["approved"]:
        _note(lane, phone, body)
        return  # this lender's policy does not ask for it
    _declined(exchange, "1A")
    exchange.demand(fields.get("rules"), "the ids of the rules that ask for it")
    sale_id = body["sale_id"]
    lane.decline(phone, 50_000, sale_id)
    lane.intend(phone, 50_000, sale_id, attempt=2)
    _approved(lane.ask(lane.request(phone, 50_000, sale_id, attempt=2)))
    lane.outcome(phone, 50_000, sale_id, attempt=2)
