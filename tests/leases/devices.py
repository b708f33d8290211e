"""What happens to a lane's device: its disk goes back in time, it is replaced, it hears of a new epoch."""

import json
from collections.abc import Mapping
from typing import Any

from agent.core import cbor
from agent.core.cose import SigningKey
from agent.core.journal import Head, walk
from agent.core.lane_report import InForce, Report
from backend.enrollment import NewLane, create_code
from backend.identity import LaneName
from backend.wire import Enrollment, Heartbeat, NewEpoch, b64url, read
from tests.backend.lanes import AUTHORITY, LENDER, PaperLane, Shop
from tests.backend.test_enrollment import csr

NEXT_KEY = SigningKey.from_seed("p256", b"n" * 32)


def restore(lane: PaperLane, number: int) -> None:
    """The lane's disk is as it was after entry ``number``: an old copy of the ledger was played back."""
    lane.entries = lane.entries[:number]
    lane.head = walk(Head(lane.name, lane.head.epoch), [sealed.data for sealed in lane.entries])
    lane.spends = [spend for spend in lane.spends if spend[1].number <= number]
    lane.sent = min(lane.sent, number)
    lane.open_debits = {}


def begin(lane: PaperLane, epoch: int, key: SigningKey | None = None) -> None:
    """The lane starts over with an empty journal, and without any lease."""
    lane.head, lane.entries, lane.sent, lane.sequence, lane.digest = Head(lane.name, epoch), [], 0, 0, b""
    lane.records, lane.spends, lane.open_debits = {}, [], {}
    lane.key = key or lane.key


def confirm_restored(shop: Shop, lane: PaperLane) -> dict[str, Any]:
    """The operator at the lane confirms; the backend's answer."""
    head = lane.head
    asked = {"lane": lane.name, "epoch": head.epoch, "reason": "restored", "number": head.number}
    raw = json.dumps(asked | {"hash": b64url(head.hash)}).encode()
    answer: dict[str, Any] = json.loads(shop.backend.start_epoch(read(NewEpoch, raw), raw, lane.name))
    return answer


def replace(shop: Shop, lane: PaperLane, *, compromised: bool = False, key: SigningKey = NEXT_KEY) -> dict[str, Any]:
    """Another device takes the lane's place, by the operator's code; the backend's answer to it."""
    place = NewLane(lane.name, "store-1", "merchant-1", "示例超市", "5411", "CNY")
    code = create_code(
        place,
        AUTHORITY,
        now_s=shop.clock.now_s,
        randomness=shop.chance.randbytes,
        replace=True,
        compromised=compromised,
    )
    body = {"code": code, "csr": csr(), "journal_key": b64url(cbor.encode(key.public.to_cose_key()))}
    answer: dict[str, Any] = json.loads(shop.backend.enroll(read(Enrollment, json.dumps(body).encode())))
    return answer


def heartbeat(shop: Shop, lane: PaperLane, **how: Any) -> list[dict[str, Any]]:
    """The lane tells of itself; the layers that the backend wants."""
    wanted: list[dict[str, Any]] = beat(shop, lane, **how)["layers_wanted"]
    return wanted


def beat(
    shop: Shop,
    lane: PaperLane,
    *,
    key: SigningKey | None = None,
    signed: bool = True,
    name: LaneName | None = None,
    keys: int = 0,
    others: Mapping[str, InForce] | None = None,
) -> dict[str, Any]:
    """The answer to a heartbeat; ``key`` signs in place of the lane's own, ``name`` is of the certificate shown,
    ``others`` are what it says of more lenders."""
    lender, nonce = shop.backend.lenders[LENDER], shop.chance.randbytes(16)
    has = InForce(lane.sequence, lane.digest, keys or lender.key_list.version, lender.policy.version)
    in_force = {LENDER: has, **(others or {})}
    report = Report(lane.name, nonce, lane.head.epoch, lane.head.number, lane.sent, in_force)
    told = {of: _to_json(what) for of, what in in_force.items()}
    body = {"lender": LENDER, "nonce": b64url(nonce), "epoch": report.epoch, "number": report.number}
    body |= {"acknowledged_through": report.acknowledged_number, "installed": told}
    body |= {"signature": b64url(report.signed(key or lane.key))} if signed else {}
    shown = name or LaneName(lane.name, "merchant-1", "store-1")
    answer: dict[str, Any] = json.loads(shop.backend.hear(read(Heartbeat, json.dumps(body).encode()), shown))
    return answer


def _to_json(has: InForce) -> dict[str, Any]:
    versions = {"keys": has.keys_version, "policy": has.policy_version}
    return {"sequence": has.sequence, "digest": b64url(has.digest)} | versions
