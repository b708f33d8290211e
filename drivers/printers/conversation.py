"""One job's talk with a printer over an open transport. Rule: every step has a time-out, and silence is an answer too.

The ladder, best rung first: echo of our process id, answer to the paper query behind the job, status afterwards, none.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields

from drivers.errors import OptionError, TransportError
from drivers.printers.escpos import PAPER_STATUS
from drivers.printers.outcome import Evidence, PrintOutcome
from drivers.printers.profiles import Profile
from drivers.printers.status import NO_STATUS, Answer, Barrier, PrinterStatus, ProcessId, RealTime, StatusStream, after
from drivers.transports.transport import Transport

_READ_BYTES = 256
_STRAYS_MAX = 16
"""Bytes in one conversation that no printer sends; noise on a good line stays far below, a wrong speed far above."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what, in seconds; the sum bounds a job."""

    connect_s: float = 2.0
    answer_s: float = 0.5
    write_s: float = 8.0
    confirm_s: float = 10.0
    poll_s: float = 0.5
    quiet_s: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 < getattr(self, field.name) <= 120:
                raise OptionError(f"{field.name} must be above 0 and at most 120 seconds")


class Conversation:
    """Asks, sends and waits; raises TransportError when the line breaks."""

    def __init__(self, transport: Transport, profile: Profile, patience: Patience) -> None:
        self._transport = transport
        self._profile = profile
        self._patience = patience
        self._stream = StatusStream()
        self._status = NO_STATUS
        self._trusts_barrier = False
        self._proofs: list[Answer] = []

    def ask_status(self) -> PrinterStatus:
        """What the printer says now (DLE EOT 1 to 4, one by one); NO_STATUS as soon as it leaves one unanswered."""
        for n in (1, 2, 3, 4):
            self._stream.asked(n)
            self._transport.write(b"\x10\x04" + bytes([n]), self._patience.write_s)
            if not self._await(RealTime, self._patience.answer_s):
                self._stream.forget_questions()
                self._status = NO_STATUS
                break
        return self._status

    def synchronise(self) -> None:
        """Learns whether a barrier can be trusted, before the job's first byte.

        An earlier job that a printer without paper had kept ends with the same question. Its late answer must not pass
        for this job's: ask once now, and listen until the line is quiet.
        """
        if self._profile.confirmation == "none":
            return
        self._transport.write(PAPER_STATUS, self._patience.write_s)
        self._trusts_barrier = self._await(Barrier, self._patience.answer_s)
        quiet_at_last_s = time.monotonic() + self._patience.answer_s
        while self._listen(self._patience.quiet_s):
            if time.monotonic() > quiet_at_last_s:
                raise TransportError("garbled", "it never stops answering")

    def send(self, job: bytes) -> None:
        """The whole job."""
        self._proofs.clear()
        self._transport.write(job, self._patience.write_s)

    def confirm(self, process_id: bytes) -> PrintOutcome:
        """Waits for the proof; asks in between, because a printer without paper never answers a barrier."""
        if not self._profile.answers_status:
            self._listen(self._patience.quiet_s)  # it says nothing, but a broken line shows
            return PrintOutcome("sent_unconfirmed", "no_return_channel")
        provable = self._trusts_barrier or self._profile.confirmation == "process_id"
        deadline_s = time.monotonic() + (self._patience.confirm_s if provable else 3 * self._patience.poll_s)
        obstacle = ""
        while time.monotonic() < deadline_s:
            self._listen(self._patience.poll_s)
            if (evidence := self._evidence(process_id)) != "none":
                return PrintOutcome("confirmed", "", evidence, self._status)
            seen, obstacle = obstacle, self.ask_status().obstacle
            if obstacle and obstacle == seen:  # twice: a printer is off line for a moment when it is fed by hand
                return PrintOutcome("doubtful", obstacle, "status", self._status)
        return self._last_rung()

    def _last_rung(self) -> PrintOutcome:
        status = self.ask_status()
        if not status.known:
            return PrintOutcome("doubtful", "silent")
        if status.obstacle:
            return PrintOutcome("doubtful", status.obstacle, "status", status)
        return PrintOutcome("sent_unconfirmed", "not_confirmed", "status", status)

    def _evidence(self, process_id: bytes) -> Evidence:
        if ProcessId(process_id) in self._proofs:
            return "process_id"
        barrier = self._trusts_barrier and any(isinstance(proof, Barrier) for proof in self._proofs)
        return "barrier" if barrier else "none"

    def _await(self, kind: type[RealTime] | type[Barrier], timeout_s: float) -> bool:
        deadline_s = time.monotonic() + timeout_s
        while (remaining_s := deadline_s - time.monotonic()) > 0:
            if any(isinstance(answer, kind) for answer in self._listen(remaining_s)):
                return True
        return False

    def _listen(self, timeout_s: float) -> tuple[Answer, ...]:
        answers = self._stream.feed(self._transport.read(_READ_BYTES, timeout_s))
        if self._stream.stray_count > _STRAYS_MAX:
            raise TransportError("garbled", f"{self._stream.stray_count} bytes that no printer sends")
        for answer in answers:
            self._status = after(self._status, answer)
        # Kept here, because a proof may arrive while the answer to another question is awaited.
        self._proofs += [answer for answer in answers if isinstance(answer, Barrier | ProcessId)]
        return answers


def obstacle_before(status: PrinterStatus, profile: Profile) -> str:
    """Why a job must not start, as an id of `drivers.remedies`; "" when it may."""
    if not profile.answers_status:
        return ""
    return status.obstacle if status.known else "silent"
