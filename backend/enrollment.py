"""Enrollment: how a lane becomes known here, and how a new device takes its place.

The one rule: a code works once. The same request gets the same answer again, because the first may have been lost;
another request under the code is refused. Of two codes for one place, the first that is used counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from agent.core import cbor
from agent.core.cose import CoseError, PublicKey, SigningKey
from agent.core.introduction import Introduction, sign_introduction
from backend import access, certificates, lanes
from backend.database import rows
from backend.identity import SECRET_BYTES, Authority, IdentityError, LaneName, code_text, secret_hash
from backend.lenders import Lender, Randomness
from backend.problems import Problem
from backend.rails.rail import Rail
from backend.schema import EnrollmentCode, Journal, Lane
from backend.wire import Enrollment, b64url, from_b64url, write

CODE_LIFE_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class NewLane:
    """A lane as the operator names it; ``category`` is the merchant category (ISO 18245), for slips and rules."""

    lane: str
    store: str
    merchant: str
    merchant_name: str
    category: str
    currency: str


def create_code(
    lane: NewLane,
    authority: Authority,
    *,
    now_s: int,
    randomness: Randomness,
    replace: bool = False,
    compromised: bool = False,
    life_s: int = CODE_LIFE_S,
) -> str:
    """A code for ``lane``, good for a day: a new one, or with ``replace`` one whose next device it is for.

    ``compromised``: what the old device still sends is not believed. Raises Problem("lane_mismatch") for a lane that is
    enrolled already, or with ``replace`` at another store; Problem("lane_unknown") if there is nothing to replace.
    """
    found = Lane.get_or_none(Lane.lane == lane.lane)
    if found is not None and found.epoch == lanes.NO_EPOCH:
        raise Problem("lane_mismatch", f"a device of the lane {lane.lane} waits to be admitted or refused")
    if found is not None and not replace:
        raise Problem("lane_mismatch", f"the lane {lane.lane} is enrolled already; its next device needs --replace")
    replaces = lanes.find(lane.lane) if replace else None
    if replaces is not None and (replaces.store, replaces.merchant) != (lane.store, lane.merchant):
        place = f"store {replaces.store} of merchant {replaces.merchant}"
        raise Problem("lane_mismatch", f"the lane {lane.lane} is at {place}")
    secret = randomness(SECRET_BYTES)
    EnrollmentCode.create(
        secret_hash=hashlib.sha256(secret).digest(),
        expires_at=now_s + life_s,
        replaces=replaces.epoch if replaces else None,
        compromised=compromised,
        **asdict(lane),
    )
    return code_text(secret, authority.fingerprint)


def enroll(
    request: Enrollment, authority: Authority, lenders: Mapping[str, Lender], rails: Mapping[str, Rail], *, now_s: int
) -> tuple[str, bytes]:
    """The lane, and the answer's bytes. To be called inside a transaction.

    Raises Problem: code_refused, code_used, malformed.
    """
    row = _code(request.code)
    said = hashlib.sha256(json.dumps([request.csr, request.journal_key]).encode()).digest()
    if row.answer is not None:
        if row.request_hash != said:
            raise Problem("code_used")
        return row.lane, bytes(row.answer)
    if now_s >= row.expires_at or not _is_place_free(row):
        raise Problem("code_refused")
    journal_key = _journal_key(request.journal_key)
    if _is_disbelieved(row, journal_key):
        raise Problem("malformed", "journal_key: a device that is not believed any more has signed with it")
    name = LaneName(row.lane, row.merchant, row.store)
    serving = [lender for lender in lenders.values() if lender.serves(name.merchant)]
    if not serving:
        raise Problem("code_refused", f"no lender serves {name.merchant}")
    epoch = (row.replaces or 0) + 1
    certificate = certificates.issue(request.csr, name, epoch, authority, now_s=now_s)
    previous = _succeed(row.lane, epoch - 1, journal_key, compromised=row.compromised) if epoch > 1 else None
    if previous is None:
        register(name, journal_key)
    answer = write(
        _described(row)
        | {"epoch": epoch, "reason": "replaced" if previous else "enrolled", "previous": previous}
        | {"certificate": certificate, "ca": authority.certificate_pem.decode()}
        | {"lenders": [_introduced(lender) for lender in serving]}
        | {"rails": [{"rail": rail.rail, "name": rail.name} for rail in rails.values()]}
    )
    EnrollmentCode.update(request_hash=said, answer=answer).where(
        EnrollmentCode.secret_hash == row.secret_hash
    ).execute()
    return row.lane, answer


def introductions(lenders: Mapping[str, Lender], authority: Authority, name: LaneName) -> bytes:
    """The answer's bytes: every lender of this merchant's lanes as the CA introduces it to them. A lane that was
    enrolled before one of them joined believes this, and nothing less."""
    ca, serving = (
        SigningKey.from_pem(authority.key_pem),
        (each for each in lenders.values() if each.serves(name.merchant)),
    )
    known = (Introduction(each.lender, each.name, name.merchant, each.root) for each in serving)
    rows = [{"lender": said.lender, "introduction": b64url(sign_introduction(said, ca))} for said in known]
    return write({"lenders": rows})


def register(name: LaneName, journal_key: PublicKey) -> None:
    """Make the lane known, with an empty journal of epoch 1 that is signed by ``journal_key``."""
    Lane.create(lane=name.lane, store=name.store, merchant=name.merchant)
    lanes.open_journal(name.lane, 1, journal_key)


def previous_to_wire(lane: str, epoch: int) -> dict[str, Any]:
    """The end of a journal, as the first entry of the next one names it."""
    head = lanes.head_of(lanes.journal(lane, epoch))
    return {"epoch": head.epoch, "number": head.number, "hash": b64url(head.hash)}


def _is_place_free(row: EnrollmentCode) -> bool:
    lane = Lane.get_or_none(Lane.lane == row.lane)
    return lane is None if row.replaces is None else lane is not None and lane.epoch == row.replaces


def _succeed(lane: str, epoch: int, journal_key: PublicKey, *, compromised: bool) -> dict[str, Any]:
    """The device of ``epoch`` may only drain from here on, and the new one has the next epoch (lease rule 12)."""
    if lanes.journal(lane, epoch).state in (lanes.OPEN, lanes.DRAINING):
        access.revoke(lane, compromised=compromised)
    previous = previous_to_wire(lane, epoch)
    lanes.open_journal(lane, epoch + 1, journal_key)
    return previous


def _code(text: str) -> EnrollmentCode:
    try:
        row = EnrollmentCode.get_or_none(EnrollmentCode.secret_hash == secret_hash(text))
    except IdentityError as error:
        raise Problem("code_refused", str(error)) from None
    if row is None:
        raise Problem("code_refused")
    return row


def _journal_key(text: str) -> PublicKey:
    try:
        return PublicKey.from_cose_key(cbor.decode(from_b64url(text), deterministic=False))
    except (CoseError, cbor.CborError) as error:
        raise Problem("malformed", f"journal_key: {error}") from None


def _is_disbelieved(row: EnrollmentCode, key: PublicKey) -> bool:
    """Whether the key is one of the lane's own from before, and compromised: who holds it would be the new device."""
    same = (Journal.lane == row.lane) & (Journal.journal_key == cbor.encode(key.to_cose_key()))
    states = [state for (state,) in rows(Journal.select(Journal.state).where(same))]
    return bool(states) and (row.compromised or not lanes.DISBELIEVED.isdisjoint(states))


def _described(row: EnrollmentCode) -> dict[str, Any]:
    names = ("lane", "store", "merchant", "merchant_name", "category", "currency")
    return {name: getattr(row, name) for name in names}


def _introduced(lender: Lender) -> dict[str, str]:
    return {
        "lender": lender.lender,
        "name": lender.name,
        "root": b64url(cbor.encode(lender.root.to_cose_key())),
        "keys": b64url(lender.key_list_bytes),
    }
