"""Slip claims: a sale that a customer's slip tells of, because its lane's disk no longer can.

The one rule (lease rule 17): a claim is posted once, like the journal entry that it stands for, within what is left of
its lane's lease; when that entry comes after all, it moves nothing.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from agent.core import cbor, slip_claim
from agent.core.authorization import HoldState
from agent.core.cose import CoseError, PublicKey
from agent.core.journal import GENESIS_HASH, VERSION, Entry, Kind
from agent.core.slip_claim import ClaimError, SlipClaim
from backend import holds, lanes, postings, quarantine
from backend.entries import Books
from backend.holds import Attempt
from backend.problems import Problem
from backend.schema import Claim, Journal
from backend.wire import write


def verified(text: str) -> SlipClaim:
    """What a claim says, if its lane signed it and is believed.

    Raises Problem: claim_signature, lane_unknown, epoch_unknown, lane_revoked.
    """
    try:
        said = slip_claim.read_claim(text)
        row = lanes.journal(said.lane, said.epoch)
        claim = slip_claim.verify_claim(text, PublicKey.from_cose_key(cbor.decode(bytes(row.journal_key))))
    except (ClaimError, CoseError) as error:
        raise Problem("claim_signature", str(error)) from None
    if _is_compromised(row):
        raise Problem("lane_revoked", "what this device signed is not believed")
    return claim


def post(claim: SlipClaim, text: str, books: Books) -> bytes:
    """The answer's bytes. To be called inside a transaction. Raises Problem("lender_unknown")."""
    if claim.lender not in books.lenders:
        raise Problem("lender_unknown", claim.lender)
    key = Attempt(claim.lane, claim.lender, claim.sale_id, claim.attempt)
    result = _known(key) or _accept(claim, key, text, books)
    return write({"result": result, "sale_id": claim.sale_id, "lane": claim.lane, "epoch": claim.epoch})


def _is_compromised(row: Journal) -> bool:
    return row.state in lanes.DISBELIEVED and quarantine.why(row) == quarantine.COMPROMISED


def _known(key: Attempt) -> str | None:
    if postings.is_claimed(key):
        return "duplicate"
    return None if holds.find(key).state in (HoldState.NONE, HoldState.INTENDED) else "known"


def _accept(claim: SlipClaim, key: Attempt, text: str, books: Books) -> str:
    result = postings.post(_as_entry(claim), books)
    Claim.create(
        **asdict(key),
        epoch=claim.epoch,
        claimed_at=books.now_s,
        text=text.strip(),
        reason=result.reason,
        excess_minor=result.minor if result.reason else 0,
    )
    return "accepted"


def _as_entry(claim: SlipClaim) -> Entry:
    """The journal entry of the sale, as far as the slip knows it; number 0 is nobody's."""
    lease = None if claim.lease_epoch is None else {"epoch": claim.lease_epoch, "delta_minor": claim.delta_minor}
    body: dict[str, Any] = {"amount_minor": claim.amount_minor, "currency": claim.currency, "account": claim.account}
    body |= {"lease": lease, "funding": "lease" if lease else "cap"}
    return Entry(
        version=VERSION,
        lane=claim.lane,
        epoch=claim.epoch,
        number=0,
        previous=GENESIS_HASH,
        recorded_at=claim.approved_at,
        clock=(True, 0),
        lease_horizon=0,
        kind=Kind.AUTHORIZATION,
        lender=claim.lender,
        sale_id=claim.sale_id,
        attempt=claim.attempt,
        body=body,
    )
