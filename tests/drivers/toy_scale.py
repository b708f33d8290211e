"""A scale that says its weight on request, as one new file: it shows what a new kind of device takes.

It has a life and a transport and is told nothing of the other kinds. The device answers W with ten digits of grams.
"""

from __future__ import annotations

from typing import ClassVar

from drivers.device import Health, HealthLevel, OnEvent
from drivers.errors import TransportError
from drivers.life import LivingDevice
from drivers.options import Options, none_left, parse_address, settings
from drivers.registry import started
from drivers.remedies import remedy_for
from drivers.transports.serial_port import SerialSettings, SerialTransport
from drivers.transports.transport import Transport


class Scale(LivingDevice):
    """Asked, it answers; events tell only how its line is."""

    kind: ClassVar = "scale"

    def __init__(self, name: str, transport: Transport, on_event: OnEvent) -> None:
        super().__init__(name, ("good_weight_read_count",), on_event)
        self._transport = transport

    def enable(self) -> None:
        self._life.step("enable")
        self.check_health()

    def close(self) -> None:
        self._transport.close()
        super().close()

    def weight_g(self) -> int | None:
        """None when the scale cannot say; its state says why."""
        try:
            if self.state.reason:
                self._transport.open(1.0)
            self._transport.write(b"W", 1.0)
            answer = self._transport.read(10, 1.0)
        except TransportError as error:
            self._life.became(error.reason)
            return None
        self._life.became("" if answer else "silent")
        self.statistics.add("good_weight_read_count", bool(answer))
        return int(answer) if answer else None

    def check_health(self, level: HealthLevel = "external") -> Health:
        if self.state.name == "enabled":
            try:
                self._transport.open(1.0)
            except TransportError as error:
                self._life.became(error.reason)
        return Health(level, self.state.reason, remedy_for(self.state.reason) or "The scale answers.")


def open_scale(name: str, address: str, options: Options | None = None, *, on_event: OnEvent) -> Scale:
    given = dict(options or {})
    scale = Scale(name, SerialTransport(parse_address(address).target, settings(SerialSettings, given)), on_event)
    none_left("scale", address, given)
    started(scale)
    return scale
