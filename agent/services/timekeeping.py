"""The lane's clock: which time it is for a lender, and whether to believe it (lease rule 14).

The one rule: only a nonce-bound signed time makes time trusted; everything else may at most keep it so.
"""

from __future__ import annotations

from typing import Final

from agent.core import cbor, cose, trust
from agent.core.classify import WALLETS
from agent.core.trusted_time import Anchor, ClockReading, accept_signed, raise_floor, read
from agent.ports import Clock, Ledger, Randomness

TIME_TYP: Final = "counterfoil-time"
NONCE_BYTES: Final = 16
FORWARD_JUMP_MAX_S: Final = 7 * 86_400
"""A document may raise the floor by so much without a fresh signed time: a lane that was off for a holiday week."""


class LaneClock:
    """Readings per lender; floors survive restarts in the ledger. A wallet's rail signs no time: ``of_rails`` names the
    lender whose time its sales are recorded by."""

    def __init__(
        self, clock: Clock, ledger: Ledger, random_bytes: Randomness, *, holdover_max_s: int, of_rails: str = ""
    ) -> None:
        self._clock, self._ledger, self._random_bytes = clock, ledger, random_bytes
        self._holdover_max_s, self._of_rails = holdover_max_s, of_rails
        self._started = Anchor(clock.wall_s(), clock.monotonic_s())
        self._recorded_s = ledger.head.horizons
        self._anchors: dict[str, Anchor] = {}
        self._asked: dict[tuple[str, bytes], float] = {}

    def read(self, lender: str) -> ClockReading:
        lender = self._of_rails if lender in WALLETS else lender
        floor_s, last_signed_s = self._ledger.time_floor(lender)
        return read(
            self._clock.wall_s(),
            self._clock.monotonic_s(),
            anchor=self._anchors.get(lender),
            started=self._started,
            floor_s=floor_s,
            recorded_s=self._recorded_s.get(lender, 0),
            last_signed_s=last_signed_s,
            holdover_max_s=self._holdover_max_s,
        )

    def ask(self, lender: str) -> bytes:
        """Begin a question for the time: the nonce that the answer must name. Older questions lapse."""
        nonce = self._random_bytes(NONCE_BYTES)
        self._asked = {key: sent for key, sent in self._asked.items() if key[0] != lender}
        self._asked[lender, nonce] = self._clock.monotonic_s()
        return nonce

    def accept(self, lender: str, nonce: bytes, data: bytes, keys: trust.KeyList) -> bool:
        """Take a signed time. False: not signed by this lender, not our question, or it took too long."""
        sent = self._asked.pop((lender, nonce), None)
        if sent is None:
            return False
        time_s = signed_time_of(lender, nonce, data, keys)
        if time_s is None:
            return False
        anchor = accept_signed(time_s, sent_monotonic_s=sent, received_monotonic_s=self._clock.monotonic_s())
        if anchor is None:
            return False
        self._anchors[lender] = anchor
        # A fresh signed time is authoritative: it also corrects a floor that a wrong wall clock had raised.
        self._ledger.set_time_floor(lender, time_s, time_s)
        return True

    def note_document(self, lender: str, built_at: int) -> None:
        """A verified document proves that its time has come."""
        floor_s, last_signed_s = self._ledger.time_floor(lender)
        raised = raise_floor(floor_s, built_at, fresh_signed=False, forward_jump_max_s=FORWARD_JUMP_MAX_S)
        if floor_s and raised != floor_s:
            self._ledger.set_time_floor(lender, raised, last_signed_s)


def signed_time_of(lender: str, nonce: bytes, data: bytes, keys: trust.KeyList) -> int | None:
    """The time in a document, UTC seconds; None: not signed by this lender's time key, or not for this nonce."""
    try:
        # The document's own time judges its key's validity: nothing else is known yet.
        signed = trust.verify_document(data, keys, role=trust.Role.TIME, typ=TIME_TYP, at=_claimed_time(data))
    except (trust.TrustError, cose.CoseError, cbor.CborError):
        return None
    time_s = signed.get("time")
    if (signed.get("lender"), signed.get("nonce")) != (lender, nonce) or type(time_s) is not int or time_s <= 0:
        return None
    return time_s


def _claimed_time(data: bytes) -> int:
    payload = cbor.decode(cose.parse1(data).payload, deterministic=False)
    claimed = payload.get("time") if isinstance(payload, dict) else None
    return claimed if type(claimed) is int else 0
