"""Reading a scanned code into a case: the pass as far as it can be trusted, and what the lane knows of its account.

The one rule: nothing of a pass is believed before it is verified, and its freshness is judged once, at the moment of
the scan, by a clock that may judge it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from agent.core import credit_pass, probe
from agent.core.classify import WALLETS, classify
from agent.core.credit_pass import CreditPass, ParsedPass, PassRejected, Reason
from agent.core.decision import RESPONSE_CODES
from agent.core.policy import Policy
from agent.core.situation import Sale
from agent.core.snapshot_layer import SnapshotError
from agent.core.snapshot_reader import Found
from agent.core.trusted_time import ClockReading
from agent.ports import Ledger
from agent.services import entries
from agent.services.entries import Attempt, Refusal
from agent.services.lenders import Lender, Lenders
from agent.services.offers import Chosen
from agent.services.timekeeping import LaneClock

NOT_A_PASS: Final = Refusal("not_a_pass", "12")
WALLET_NOT_SERVED: Final = Refusal("wallet_not_served", "57")
TRAINING_COUNTER: Final = Refusal(f"pass.{Reason.TRAINING_COUNTER}", "57")
REPLAYED: Final = Refusal("proof_replayed", "94")
SNAPSHOT_MISSING: Final = Refusal("snapshot_missing", RESPONSE_CODES["snapshot_missing"])
DATED: Final = ("54", "91")
"""Codes of passes that are refused for a date: the pass's own, or the key list's."""


@dataclass(frozen=True, slots=True)
class Case:
    """An attempt with all that is known about it before it is decided.

    ``verified`` is the pass, or why it is none; ``fault`` is why its account cannot be looked up. ``judged``: the pass
    was verified in full, by a trusted clock. Only the backend may approve one that was not. ``chosen``: instalments.
    ``draw``: the sale's random number, from the entry before its first one.
    """

    attempt: Attempt
    code: str
    lender: Lender
    reading: ClockReading
    verified: CreditPass | Refusal
    found: Found | None = None
    fault: Refusal | None = None
    judged: bool = False
    chosen: Chosen | None = None
    draw: int = 0

    def with_newest_layers(self) -> Case:
        """The case as the layers now in force see it. While the backend was asked, a snapshot may have been installed
        and told to it; from then on the older layer's lease may be granted to another lane (rule 2)."""
        if self.attempt.account is None:
            return self
        found, fault = _lookup(self.lender, self.attempt.account)
        return replace(self, found=found, fault=fault)


@dataclass(frozen=True, slots=True)
class Sight:
    """A code at the moment of its scan: whose it is, by ``reading``'s time, and the pass, or why it is none."""

    code: str
    lender: Lender
    reading: ClockReading
    verified: CreditPass | Refusal

    @property
    def is_good(self) -> bool:
        """A credit pass that a sale could go on with."""
        return isinstance(self.verified, CreditPass)

    @property
    def account(self) -> bytes | None:
        return self.verified.credential.account if isinstance(self.verified, CreditPass) else None


class Reader:
    """Looks at codes and opens cases for the lane's lenders."""

    def __init__(self, ledger: Ledger, lenders: Lenders, clock: LaneClock) -> None:
        self._ledger, self._lenders, self._clock = ledger, lenders, clock

    def look(self, code: str) -> Sight:
        """The code, judged now. One that no known lender vouches for is the first lender's to refuse."""
        parsed = _parsed(code)
        known = None if isinstance(parsed, Refusal) else self._lenders.get(parsed.credential.lender)
        lender = known or self._lenders.first
        reading = self._clock.read(lender.lender)
        verified = parsed if isinstance(parsed, Refusal) else self._verify(parsed, reading, lender.policy)
        return Sight(code, lender, reading, verified)

    def open_case(self, sale: Sale, capture: str, sight: Sight) -> Case:
        """The next attempt of ``sale``, recorded by the time of now: another sale may have been before its turn."""
        lender, verified, digest = sight.lender, sight.verified, entries.code_digest(sight.code)
        number, reading = len(self._ledger.attempts(sale.sale_id)) + 1, self._clock.read(lender.lender)
        attempt = Attempt(lender.lender, sale, number, capture, digest, sight.reading.now_s)
        if isinstance(verified, Refusal):
            return Case(attempt, sight.code, lender, reading, verified)
        attempt = replace(attempt, account=verified.credential.account, cti=verified.proof.cti)
        found, fault = _lookup(lender, verified.credential.account)
        drawn = probe.draw(self._ledger.head.hash, verified.proof.cti)
        return Case(attempt, sight.code, lender, reading, verified, found, fault, sight.reading.trusted, draw=drawn)

    def _verify(self, parsed: ParsedPass, reading: ClockReading, policy: Policy | None) -> CreditPass | Refusal:
        limits = policy.limits if policy else None
        try:
            return credit_pass.check(
                parsed,
                self._lenders.trust,
                scanned_at=reading.now_s,
                freshness_s=limits.proof_fresh_s if limits else credit_pass.FRESHNESS_S,
                tolerance_s=limits.proof_tolerance_s if limits else credit_pass.TOLERANCE_S,
            )
        except PassRejected as rejected:
            if not reading.trusted and rejected.response_code in DATED:
                # An untrusted clock cannot judge a date: the backend, with its own clock, still may.
                return CreditPass(parsed.credential, parsed.proof, parsed.kid)
            return _refusal_of(rejected)

    def refused_at_sight(self, case: Case) -> Refusal | None:
        """Refusals that need neither the backend nor a rule; a wallet that is served does not come here."""
        kind = classify(case.code.encode()).kind
        if kind in WALLETS:
            return TRAINING_COUNTER if self._lenders.is_training else WALLET_NOT_SERVED
        if kind != "credit_pass":
            return NOT_A_PASS
        if isinstance(case.verified, Refusal):
            return case.verified
        credential, cti = case.verified.credential, case.verified.proof.cti
        is_used = self._ledger.proof_is_consumed(credential.lender, credential.account, cti)
        return REPLAYED if is_used else None


def _parsed(code: str) -> ParsedPass | Refusal:
    try:
        return credit_pass.parse(code)
    except PassRejected as rejected:
        return _refusal_of(rejected)


def _refusal_of(rejected: PassRejected) -> Refusal:
    return Refusal(f"pass.{rejected.reason}", rejected.response_code)


def _lookup(lender: Lender, account: bytes) -> tuple[Found | None, Refusal | None]:
    if lender.stack is None:
        return None, None
    try:
        return lender.stack.lookup(account), None
    except SnapshotError as error:
        lender.damaged(error)
        return None, SNAPSHOT_MISSING
