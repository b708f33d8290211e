"""A receipt printer as UnifiedPOS knows it. Rule: a job always ends, and its outcome never says more than is known.

The connection lasts for one job: a printer that was switched off, unplugged or moved needs no restart of anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ClassVar, TypeVar

from drivers.device import Closable, Health, HealthLevel, OnEvent
from drivers.document import Document, Text, as_copy, as_training
from drivers.errors import TransportError, UnprintableError
from drivers.life import LivingDevice
from drivers.printers.conversation import Conversation, Patience, obstacle_before
from drivers.printers.escpos import process_id, render
from drivers.printers.outcome import PrintOutcome, Rung
from drivers.printers.profiles import Profile
from drivers.printers.status import NO_STATUS, PrinterStatus
from drivers.remedies import remedy_for
from drivers.transports.transport import Transport

T = TypeVar("T")

_STATISTICS = (
    "job_confirmed_count",
    "job_sent_unconfirmed_count",
    "job_doubtful_count",
    "job_not_started_count",
    "receipt_line_printed_count",
    "paper_cut_count",
    "communication_error_count",
)


class POSPrinter(LivingDevice):
    """One printer, one job at a time. `print_document`, `read_status` and `check_health` block: use a thread."""

    kind: ClassVar = "printer"

    def __init__(
        self,
        name: str,
        transport: Transport,
        profile: Profile,
        *,
        patience: Patience | None = None,
        letterhead: bytes = b"",
        on_event: OnEvent | None = None,
        stand_in: Closable | None = None,
    ) -> None:
        super().__init__(name, _STATISTICS, on_event, stand_in)
        self.profile = profile
        self._transport = transport
        self._patience = patience or Patience()
        self._letterhead = letterhead
        self._one_job = threading.Lock()
        self.is_training = False
        """Whether every slip says that it is none: the paper of a training counter."""

    def enable(self) -> None:
        """Starts it and asks how it is; one that is not there is `failed` until an attempt finds it again."""
        self._life.step("enable")
        self.check_health("external")

    def close(self) -> None:
        """Ends it after the job at hand."""
        with self._one_job:
            super().close()

    def read_status(self) -> PrinterStatus:
        """Asks now; NO_STATUS from a printer that does not answer. Raises LifeCycleError, TransportError."""
        with self._one_job:
            self._require_enabled()
            try:
                status = self._on_line(self._ask)
            except TransportError as error:
                self._life.became(error.reason)
                raise
            self._life.became(obstacle_before(status, self.profile), status.conditions)
            return status

    def check_health(self, level: HealthLevel = "external") -> Health:
        """internal: its state; external: asks the printer; interactive: prints a line for a person to see."""
        if level == "internal" or not self.state.usable:
            reason = self.state.reason
            return Health(level, reason, remedy_for(reason) or f"The printer is {self.state.name}.")
        if level == "interactive":
            return self._print_test()
        try:
            status = self.read_status()
        except TransportError as error:
            return Health(level, error.reason, remedy_for(error.reason))
        reason = obstacle_before(status, self.profile)
        said = "The printer says that it is ready." if status.known else "The printer takes data but cannot report."
        return Health(level, reason, remedy_for(reason) or said)

    def print_document(self, job_id: str, document: Document, *, copy: bool) -> PrintOutcome:
        """Prints it, marked as a copy if asked. Every fault of the printer is an outcome.

        Raises LifeCycleError when the device is not enabled. Takes at most the sum of `Patience`, some answers more,
        and what a serial line of its speed needs for the bytes.
        """
        with self._one_job:
            self._require_enabled()
            try:
                marked = as_training(document) if self.is_training else document
                job = render(as_copy(marked) if copy else marked, self.profile, job_id, self._letterhead)
            except UnprintableError:
                return self._conclude(PrintOutcome("not_started", "unprintable"), b"")
            outcome = self._print(job, process_id(job_id))
            self._life.became("" if outcome.rung in _SENT else outcome.reason, outcome.status.conditions)
            return self._conclude(outcome, job)

    def send_command(self, command: bytes) -> str:
        """Sends what puts nothing on paper, such as a drawer's pulse, if it can be obeyed now.

        Returns "" or why it was not sent, as an id of `drivers.remedies`: a printer that is off line would keep it and
        obey when nobody expects it. Raises LifeCycleError, TransportError.
        """

        def sent(talk: Conversation) -> str:
            if not (reason := obstacle_before(self._ask(talk), self.profile)):
                talk.send(command)
            return reason

        with self._one_job:
            self._require_enabled()
            return self._on_line(sent)

    def _print(self, job: bytes, expected_id: bytes) -> PrintOutcome:
        try:
            return self._on_line(lambda talk: self._refused(talk) or self._sent(talk, job, expected_id))
        except TransportError as error:
            self.statistics.add("communication_error_count")
            return PrintOutcome("not_started", error.reason)

    def _refused(self, talk: Conversation) -> PrintOutcome | None:
        """The outcome that ends a job before its first byte, if something stands in its way."""
        status = self._ask(talk)
        if reason := obstacle_before(status, self.profile):
            return PrintOutcome("not_started", reason, "status" if status.known else "none", status)
        talk.synchronise()
        return None

    def _sent(self, talk: Conversation, job: bytes, expected_id: bytes) -> PrintOutcome:
        sent_max = 0
        try:
            talk.send(job)
            sent_max = len(job)
            return talk.confirm(expected_id)
        except TransportError as error:
            self.statistics.add("communication_error_count")
            rung: Rung = "doubtful" if sent_max or error.sent_max else "not_started"
            return PrintOutcome(rung, error.reason)

    def _ask(self, talk: Conversation) -> PrinterStatus:
        return talk.ask_status() if self.profile.answers_status else NO_STATUS

    def _on_line(self, use: Callable[[Conversation], T]) -> T:
        try:
            self._transport.open(self._patience.connect_s)
            return use(Conversation(self._transport, self.profile, self._patience))
        finally:
            self._transport.close()

    def _conclude(self, outcome: PrintOutcome, job: bytes) -> PrintOutcome:
        self.statistics.add(f"job_{outcome.rung}_count")
        if outcome.rung in _SENT:
            self.statistics.add("receipt_line_printed_count", job.count(b"\n") + job.count(b"\x1dv0"))
            self.statistics.add("paper_cut_count", job.count(b"\x1dV"))
        else:
            self._life.failed_once(outcome.reason)
        return outcome

    def _print_test(self) -> Health:
        outcome = self.print_document("health", Document((Text(f"{self.name}: OK 正常"),)), copy=False)
        reason = "" if outcome.rung in _SENT else outcome.reason
        return Health("interactive", reason, outcome.remedy or "The printer confirmed a test slip.")


_SENT = ("confirmed", "sent_unconfirmed")
