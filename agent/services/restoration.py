"""A lane whose ledger was restored begins a new epoch (lease rule 11): both heads, a person's word, a new journal.

The one rule: the request is on the disk before it leaves, and repeated as it was; so however often the line breaks,
one restored ledger leads to one new epoch. What the old epoch recorded is kept, sent, and shown; its leases are dead.
"""

from __future__ import annotations

import json
import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.core.journal import Draft, Head, Kind
from agent.errors import LeftBefore, NothingToRecover, UplinkRefused, UplinkUnavailable
from agent.ports import EPOCH_REQUEST, Backend, Ledger
from agent.services.checkout import Checkout
from agent.services.forwarding import Forwarding
from agent.services.timekeeping import LaneClock

LOG: Final = logging.getLogger(__name__)
RESTORED: Final = "restored"
EPOCH_TAKEN: Final = "idempotency_conflict"
"""The backend's word for an epoch that was left with another request."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Where the two halves end. The backend's number is None and its head empty if it did not say."""

    epoch: int
    number: int
    head: str
    backend_number: int | None
    backend_head: str


class Restoration:
    """``binding`` is what the first entry of every epoch of this lane says: certificate and journal key."""

    def __init__(
        self,
        ledger: Ledger,
        backend: Backend,
        clock: LaneClock,
        *,
        checkout: Checkout,
        forwarding: Forwarding,
        binding: Mapping[str, Any],
    ) -> None:
        self._ledger, self._backend, self._clock = ledger, backend, clock
        self._checkout, self._forwarding, self._binding = checkout, forwarding, binding

    def heads(self) -> Heads:
        """Raises NothingToRecover."""
        fork, head = self._forwarding.fork, self._ledger.head
        if fork is None:
            raise NothingToRecover
        backend_number = fork.expected - 1 if fork.expected else None
        return Heads(head.epoch, head.number, head.hash.hex(), backend_number, fork.head)

    async def begin_again(self, lender: str) -> Head:
        """A new epoch, agreed with the backend; returns its head. Raises NothingToRecover, LeftBefore and the faults of
        the uplink and the ledger; whatever is raised, it may be called again."""
        await self._checkout.resolve_interrupted()  # an intent and its outcome belong into one epoch
        async with self._checkout.between_sales():
            self.heads()
            request = self._request()
            epoch, previous = _granted(await self._asked(request), request["epoch"])
            body = {**self._binding, "reason": RESTORED, "previous": previous}
            head = self._ledger.head
            self._ledger.start_epoch(head.lane, epoch, Draft(Kind.EPOCH_START, body), self._clock.read(lender))
        self._ledger.take_note(EPOCH_REQUEST, None)
        self._forwarding.begun_again()
        self._backend.poke()
        LOG.warning("a new epoch has begun", extra={"epoch": epoch})
        return self._ledger.head

    async def _asked(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return await self._backend.open_epoch(request)
        except UplinkRefused as refused:
            if refused.problem == EPOCH_TAKEN:
                raise LeftBefore from refused
            raise

    def _request(self) -> dict[str, Any]:
        """The request as it was made first: the lane may have recorded declines since."""
        head, stored = self._ledger.head, self._ledger.note(EPOCH_REQUEST)
        if stored is not None and json.loads(stored)["epoch"] == head.epoch:
            known: dict[str, Any] = json.loads(stored)
            return known
        digest = urlsafe_b64encode(head.hash).rstrip(b"=").decode()
        asked = {"lane": head.lane, "epoch": head.epoch, "reason": RESTORED, "number": head.number, "hash": digest}
        self._ledger.take_note(EPOCH_REQUEST, json.dumps(asked))
        return asked


def _granted(answer: Mapping[str, Any], old_epoch: int) -> tuple[int, dict[str, Any]]:
    """The new epoch, and how the old one ended at the backend. Raises UplinkUnavailable for anything else."""
    match answer:
        case {"epoch": int(epoch), "previous": {"epoch": int(old), "number": int(number), "hash": str(digest)}}:
            if epoch > old_epoch:
                return epoch, {
                    "epoch": old,
                    "number": number,
                    "hash": urlsafe_b64decode(digest + "=" * (-len(digest) % 4)),
                }
    raise UplinkUnavailable("The backend's answer to the request for a new epoch cannot be used.")
