"""What a lane says of its half of the tally in a heartbeat, and its signature.

The one rule: what a lane says counts only if its journal key has signed it, with the nonce of this very heartbeat:
whoever holds the line alone cannot make a backend believe that it has forgotten something, nor that it has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.core import cbor, cose
from agent.core.cose import CoseError, PublicKey, Signer

REPORT_TYP: Final = "counterfoil-report"


@dataclass(frozen=True, slots=True)
class InForce:
    """What a lane has of one lender: the newest snapshot layer (0 and no digest: none) and versions of documents.

    ``digest`` is the SHA-256 of the newest layer's signed manifest.
    """

    sequence: int
    digest: bytes
    keys_version: int
    policy_version: int


@dataclass(frozen=True, slots=True)
class Report:
    """``number`` and ``acknowledged_number`` are of the journal of ``epoch``, ``in_force`` is by lender."""

    lane: str
    nonce: bytes
    epoch: int
    number: int
    acknowledged_number: int
    in_force: Mapping[str, InForce]

    def statement(self) -> bytes:
        """The CBOR that is signed: [lane, nonce, epoch, number, acknowledged_number, {lender: [sequence, digest,
        keys, policy]}]."""
        told: cbor.Value = {
            lender: [has.sequence, has.digest, has.keys_version, has.policy_version]
            for lender, has in self.in_force.items()
        }
        return cbor.encode([self.lane, self.nonce, self.epoch, self.number, self.acknowledged_number, told])

    def signed(self, key: Signer) -> bytes:
        """A COSE_Sign1 by the journal key over the statement."""
        return cose.sign1(self.statement(), key, typ=REPORT_TYP)

    def is_signed_by(self, key: PublicKey, signature: bytes) -> bool:
        """Whether this key signed exactly this report."""
        try:
            return cose.verify1(signature, key, typ=REPORT_TYP).payload == self.statement()
        except CoseError:
            return False
