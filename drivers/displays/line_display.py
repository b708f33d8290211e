"""A customer's line display as UnifiedPOS knows it. Rule: what was shown last is shown again when the display is back.

Displays answer nothing: "works" means that its line takes the bytes. UnifiedPOS: DisplayText, ClearText, DeviceRows.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import ClassVar, Final

from drivers.device import Closable, Health, HealthLevel, OnEvent
from drivers.displays.screen import Screen, render
from drivers.errors import TransportError, UnprintableError
from drivers.life import LivingDevice
from drivers.remedies import remedy_for
from drivers.transports.transport import Transport

OPEN_S: Final = 1.0
WRITE_S: Final = 1.0
"""A full screen of 2 × 20 takes 60 ms at 9600 baud."""
TEST_ROWS: Final = (("测试 TEST", "¥1,234.50"), ("TEST", "1,234.50"))
"""The second for displays without Chinese."""


class LineDisplay(LivingDevice):
    """One display. `show` and `check_health` block for two seconds at most: use a thread."""

    kind: ClassVar = "display"

    def __init__(
        self,
        name: str,
        transport: Transport,
        screen: Screen,
        *,
        on_event: OnEvent | None = None,
        stand_in: Closable | None = None,
    ) -> None:
        super().__init__(name, ("screen_shown_count", "communication_error_count"), on_event, stand_in)
        self.screen = screen
        self._transport = transport
        self._shown = render((), screen)
        self._is_open = False
        self._one_screen = threading.Lock()

    def enable(self) -> None:
        """Clears it; one that is not there is `failed` until an attempt finds it again."""
        self._life.step("enable")
        self._send(self._shown)

    def close(self) -> None:
        """Clears it and lets go."""
        with self._one_screen:
            if self.state.name == "enabled":
                self._write(render((), self.screen))
            self._hang_up()
            super().close()

    def show(self, *choices: Sequence[str]) -> str:
        """Shows the first of these screens that the display has the characters for; returns "" or why it shows none.

        A reason is an id of `drivers.remedies`. Raises LifeCycleError.
        """
        for rows in choices:
            try:
                screen = render(rows, self.screen)
            except UnprintableError:
                continue
            return self._send(screen)
        self._life.failed_once("not_displayable")
        return "not_displayable"

    def clear(self) -> str:
        """Nothing is shown. Returns as `show` does."""
        return self._send(render((), self.screen))

    def check_health(self, level: HealthLevel = "external") -> Health:
        """external: sends again what is shown, which a display that was off needs; interactive: shows a test."""
        if level == "internal" or not self.state.usable:
            reason = self.state.reason
        else:
            reason = self.show(*TEST_ROWS) if level == "interactive" else self._send(self._shown)
        said = "The display takes data; it cannot report." if self.state.usable else f"The device is {self.state.name}."
        return Health(level, reason, remedy_for(reason) or said)

    def _send(self, screen: bytes) -> str:
        with self._one_screen:
            self._require_enabled()
            self._shown = screen
            reason = self._write(screen)
            self._life.became(reason)
            self.statistics.add("communication_error_count" if reason else "screen_shown_count")
            return reason

    def _write(self, screen: bytes) -> str:
        """The line stays open: opening it again blanks some displays."""
        for attempt in (1, 2):  # a line that broke unseen since the last screen breaks here, and may be well again
            was_open = self._is_open
            try:
                if not was_open:
                    self._transport.open(OPEN_S)
                    self._is_open = True
                self._transport.write(screen, WRITE_S)
                return ""
            except TransportError as error:
                self._hang_up()
                if attempt == 2 or not was_open:
                    return error.reason
        return ""

    def _hang_up(self) -> None:
        self._transport.close()
        self._is_open = False
