"""A cash drawer on a printer's drawer socket. Rule: it opens now or not at all, never later with nobody there.

A printer that is off line keeps the pulse with everything else and gives it when the roll has been changed; so it is
asked first, and what cannot open the drawer now gets no pulse.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from drivers.device import Health, HealthLevel, OnEvent
from drivers.errors import OptionError, TransportError
from drivers.life import LivingDevice
from drivers.printers.pos_printer import POSPrinter
from drivers.printers.status import PrinterStatus
from drivers.remedies import remedy_for

PULSE_UNIT_MS: Final = 2
"""ESC p counts in units of 2 ms (Epson ESC/POS command reference)."""
PINS: Final = {2: 0, 5: 1}
"""Pin of the drawer socket → m of ESC p."""
LEVELS: Final = ("model", "high", "low", "none")
_LOOK_S = 0.1
_LOOKS = 5
"""A drawer slides for a quarter of a second before its switch says so."""

_STATISTICS = ("drawer_good_open_count", "drawer_failed_open_count")


@dataclass(frozen=True, slots=True)
class Kick:
    """How this drawer is opened, and how it says that it is open.

    `pin` of the socket: 2 or 5. `pulse_ms`: 50 to 500, even. `open_level`: level of the sensor's pin while the drawer
    is open, "high" or "low"; "model": as the printer's profile says; "none": the drawer has no sensor.
    """

    pin: int = 2
    pulse_ms: int = 120
    open_level: str = "model"

    def __post_init__(self) -> None:
        if self.pin not in PINS:
            raise OptionError(f"pin must be 2 or 5, not {self.pin}")
        if not 50 <= self.pulse_ms <= 500 or self.pulse_ms % PULSE_UNIT_MS:
            raise OptionError("pulse_ms must be an even number from 50 to 500")
        if self.open_level not in LEVELS:
            raise OptionError(f"open_level must be one of {', '.join(LEVELS)}, not {self.open_level!r}")

    @property
    def command(self) -> bytes:
        """ESC p m t1 t2; the pause behind the pulse is as long as the pulse, so that no coil gets hot."""
        units = self.pulse_ms // PULSE_UNIT_MS
        return b"\x1bp" + bytes([PINS[self.pin], units, units])


@dataclass(frozen=True, slots=True)
class Opening:
    """What became of a try; `opened` None: the pulse went out, and nothing can tell. `reason` as in the remedies."""

    opened: bool | None
    reason: str = ""


class CashDrawer(LivingDevice):
    """A drawer; the printer belongs to whoever made it. `open_drawer` and `check_health` block: use a thread."""

    kind: ClassVar = "drawer"

    def __init__(
        self, name: str, printer: POSPrinter, kick: Kick | None = None, on_event: OnEvent | None = None
    ) -> None:
        super().__init__(name, _STATISTICS, on_event)
        self._printer, self._kick = printer, kick or Kick()

    @property
    def senses(self) -> bool:
        """Whether it can be known that the drawer is open (UnifiedPOS CapStatus)."""
        return self._open_level is not None and self._printer.profile.answers_status

    def enable(self) -> None:
        """Starts it and asks how it is."""
        self._life.step("enable")
        self.check_health()

    def drawer_opened(self) -> bool | None:
        """Asks now; None when nothing can tell. Raises LifeCycleError, TransportError."""
        self._require_enabled()
        return self._heard(self._printer.read_status())

    def open_drawer(self) -> Opening:
        """One pulse, if the drawer can open now. Raises LifeCycleError."""
        self._require_enabled()
        opening = self._tried()
        self.statistics.add("drawer_failed_open_count" if opening.opened is False else "drawer_good_open_count")
        if opening.opened is False:
            self._life.became(opening.reason)
            self._life.failed_once(opening.reason)
        return opening

    def wait_for_close(self, timeout_s: float, look_s: float = 1.0) -> bool:
        """Whether it was closed in that time. Raises LifeCycleError, TransportError."""
        until_s = time.monotonic() + timeout_s
        while self.drawer_opened():
            if time.monotonic() >= until_s:
                return False
            time.sleep(look_s)
        return True

    def check_health(self, level: HealthLevel = "external") -> Health:
        """external: asks the printer; interactive: opens the drawer for a person to see."""
        if level == "internal" or not self.state.usable:
            reason = self.state.reason
            return Health(level, reason, remedy_for(reason) or f"The device is {self.state.name}.")
        if level == "interactive":
            reason = self.open_drawer().reason
            return Health(level, reason, remedy_for(reason) or "The drawer says that it is open.")
        reason = self._printer.check_health().reason
        if reason:
            self._life.became(reason)
            return Health(level, reason, remedy_for(reason))
        return self._looked(level)

    def _looked(self, level: HealthLevel) -> Health:
        try:
            is_open = self.drawer_opened()
        except TransportError as error:
            self._life.became(error.reason)
            return Health(level, error.reason, remedy_for(error.reason))
        said = {True: "The drawer is open.", False: "The drawer is closed.", None: "The drawer cannot say how it is."}
        return Health(level, "", said[is_open])

    def _tried(self) -> Opening:
        try:
            if reason := self._printer.send_command(self._kick.command):
                return Opening(False, reason)
            if not self.senses:
                return Opening(None, "drawer_not_sensed")
            for _ in range(_LOOKS):
                if self.drawer_opened():
                    return Opening(True)
                time.sleep(_LOOK_S)
        except TransportError as error:
            return Opening(False, error.reason)
        return Opening(False, "drawer_stuck")

    def _heard(self, status: PrinterStatus) -> bool | None:
        is_open = status.drawer_open(self._open_level)
        self._life.became("", ("drawer_open",) if is_open else ())
        return is_open

    @property
    def _open_level(self) -> Literal["high", "low"] | None:
        match self._kick.open_level:
            case "model":
                return self._printer.profile.drawer_open_level
            case "high":
                return "high"
            case "low":
                return "low"
        return None
