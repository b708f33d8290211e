"""Several lenders at one backend: what one of them has, holds or is shown is never another's.

The kit's twins are phones of two lenders with the same account token: whatever forgets the lender mixes them up.
"""

from __future__ import annotations

import os
import time

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.conformance.case import Group
from agent.conformance.exchange import Broken
from agent.conformance.kit import Phone
from agent.conformance.snapshot import from_b64url, root_of
from agent.conformance.world import World
from agent.core.cose import PublicKey
from agent.core.introduction import read_introduction
from agent.core.trust import TrustError

GROUP = Group("lenders")


@GROUP.case("E-11", "the CA introduces every lender of the lane")
def introduced(world: World) -> None:
    lane = world.lane()
    exchange = lane.line.get("/v1/lenders")
    rows = exchange.ok().get("lenders")
    key = x509.load_pem_x509_certificate(world.ca_pem.encode()).public_key()
    authority = PublicKey("p256", key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    exchange.demand(isinstance(rows, list) and bool(rows), "lenders: at least one row")
    for row in rows or ():
        try:
            said = read_introduction(from_b64url(row["introduction"]), authority)
        except TrustError as error:
            exchange.broken(f"an introduction by the CA ({error})")
        exchange.demand(said.lender == row["lender"], f"an introduction of {row['lender']}")
    told = {row["lender"] for row in rows or ()}
    exchange.demand(told >= {row["lender"] for row in lane.answer["lenders"]}, "every lender of the enrollment")


@GROUP.case("E-12", "an introduction is for the lane's merchant and names the root that enrollment told")
def introduced_to_merchant(world: World) -> None:
    lane = world.lane()
    exchange = lane.line.get("/v1/lenders")
    key = x509.load_pem_x509_certificate(world.ca_pem.encode()).public_key()
    authority = PublicKey("p256", key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    enrolled = {row["lender"] for row in lane.answer["lenders"]}
    for row in exchange.ok()["lenders"]:
        said = read_introduction(from_b64url(row["introduction"]), authority)
        exchange.demand(said.merchant == lane.answer["merchant"], f"merchant {lane.answer['merchant']}")
        if said.lender in enrolled:
            exchange.demand(said.root == root_of(lane, said.lender), f"the root of {said.lender}")


@GROUP.case("M-01", "equal tokens of two lenders are two accounts", needs=("twins",))
def two_accounts(world: World) -> None:
    lane, (one, other) = world.lane(), _twins(world)
    most = one.limit_minor * 3 // 5
    approved = [lane.is_approved(phone, most) for phone in (one, one, other)]
    lane.send()
    if approved != [True, False, True]:
        raise Broken("an approval of three fifths of the limit at each lender, and no second one", came=str(approved))


@GROUP.case("M-02", "a proof that was used at one lender is not used up at another", needs=("twins",))
def two_proofs(world: World) -> None:
    lane, cti, now_s = world.lane(), os.urandom(8), int(time.time())
    for phone in _twins(world):
        sale_id, answer = lane.buy(phone, 100, **{"pass": phone.show_pass(now_s=now_s, cti=cti)})
        if not answer["approved"]:
            raise Broken(f"an approval by {phone.lender}", came=str(answer))
        lane.outcome(phone, 100, sale_id)
    lane.send()


@GROUP.case("M-03", "a pass of one lender pays nothing at another", needs=("twins",))
def other_lenders_pass(world: World) -> None:
    lane, (one, other) = world.lane(), _twins(world)
    code = one.show_pass(now_s=int(time.time()), cti=os.urandom(8))
    sale_id, answer = lane.buy(other, 100, **{"pass": code})
    if answer["approved"] or answer["response_code"] != "14":
        raise Broken("a decline with response_code 14", came=str(answer))
    lane.decline(other, 100, sale_id)
    lane.send()


def _twins(world: World) -> tuple[Phone, Phone]:
    assert world.kit.twins is not None, "the cases that ask for them need them"
    return world.kit.twins
