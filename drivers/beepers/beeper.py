"""A beeper in or on the receipt printer. Rule: it sounds now or not at all; a sound that comes late tells a lie.

A printer that is off line would keep the command with everything else, so it is asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from drivers.device import Health, HealthLevel, OnEvent
from drivers.errors import OptionError, TransportError
from drivers.life import LivingDevice
from drivers.printers.pos_printer import POSPrinter
from drivers.remedies import remedy_for

Signal = Literal["attention", "refused"]
TIMES: Final[Mapping[Signal, int]] = {"attention": 1, "refused": 3}
"""How often it sounds: so that both are told apart without looking."""
COMMANDS: Final[Mapping[str, Callable[[int], bytes]]] = {
    # Epson ESC/POS command reference, esc_lparen_ca_fn97: pattern A, so many times
    "esc_paren_a": lambda times: b"\x1b(A\x03\x00\x61\x01" + bytes([times]),
    # Command sets of Xprinter, Zjiang, Rongta: so many times, 2 x 50 ms each
    "esc_b": lambda times: b"\x1bB" + bytes([times, 2]),
    "bel": lambda times: b"\x07" * times,
}


@dataclass(frozen=True, slots=True)
class Sound:
    """`command`: a key of `COMMANDS`, or "model": as the printer's profile says."""

    command: str = "model"

    def __post_init__(self) -> None:
        if self.command not in ("model", *COMMANDS):
            raise OptionError(f"command must be one of model, {', '.join(COMMANDS)}, not {self.command!r}")


class Beeper(LivingDevice):
    """A beeper; the printer belongs to whoever made it. `sound` and `check_health` block: use a thread."""

    kind: ClassVar = "beeper"

    def __init__(
        self, name: str, printer: POSPrinter, sound: Sound | None = None, on_event: OnEvent | None = None
    ) -> None:
        """Raises OptionError where nobody knows what makes this model sound."""
        super().__init__(name, ("beep_count", "beep_failed_count"), on_event)
        command = (sound or Sound()).command
        known = printer.profile.beeper if command == "model" else command
        if known not in COMMANDS:
            raise OptionError(f"nobody knows what makes a {printer.profile.name} sound; name the command")
        self._printer, self._command = printer, COMMANDS[known]

    def enable(self) -> None:
        """Starts it and asks the printer how it is."""
        self._life.step("enable")
        self.check_health()

    def sound(self, signal: Signal) -> str:
        """Sounds once; returns "" or why it does not, an id of `drivers.remedies`. Raises LifeCycleError."""
        self._require_enabled()
        try:
            reason = self._printer.send_command(self._command(TIMES[signal]))
        except TransportError as error:
            reason = error.reason
        self.statistics.add("beep_failed_count" if reason else "beep_count")
        self._life.became(reason)
        return reason

    def check_health(self, level: HealthLevel = "external") -> Health:
        """external: asks the printer; interactive: sounds for a person to hear."""
        if level == "internal" or not self.state.usable:
            reason = self.state.reason
            return Health(level, reason, remedy_for(reason) or f"The device is {self.state.name}.")
        if level == "interactive":
            reason = self.sound("attention")
            return Health(level, reason, remedy_for(reason) or "The printer took the command; it cannot report.")
        reason = self._printer.check_health().reason
        self._life.became(reason)
        return Health(level, reason, remedy_for(reason) or "The printer can sound.")
