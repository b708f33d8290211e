"""Authorization codes, by which a backend knows its own answer again when it has forgotten it (lease rule 13).

The one rule: a code is a keyed digest (HMAC, RFC 2104) of what was approved, so nobody else can make one up,
neither for another sale, nor account, nor amount. It is no randomness that could be lost with the answer.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from agent.core import cbor
from backend.holds import Attempt
from backend.lenders import ROOT, Lender

CODE_CHARACTERS: Final = 6
"""ISO 8583 field 38. With 32 letters and figures each, a guess is right once in a billion, and disputed else."""
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: none that a cashier could mistake for another."""
_PURPOSE: Final = b"counterfoil authorization code"


@dataclass(frozen=True, slots=True)
class Approval:
    """What was approved online, and how much of it the lane's lease paid."""

    key: Attempt
    account: bytes
    amount_minor: int
    lease_used_minor: int

    def code(self, lender: Lender) -> str:
        """The secret is derived from the lender's root, so codes change with the root alone."""
        secret = hashlib.sha256(_PURPOSE + lender.keys[ROOT].to_pem()).digest()
        key = [self.key.lane, self.key.lender, self.key.sale_id, self.key.attempt]
        said = cbor.encode([*key, self.account, self.amount_minor, self.lease_used_minor])
        digest = int.from_bytes(hmac.digest(secret, said, "sha256"), "big")
        return "".join(_ALPHABET[digest >> 5 * place & 31] for place in range(CODE_CHARACTERS))

    def is_own(self, code: str | None, lender: Lender) -> bool:
        """Whether this backend has approved exactly this, whatever it remembers."""
        return code is not None and hmac.compare_digest(code.encode(), self.code(lender).encode())
