"""A scale that says its weight on request, as one new file: it shows what a new kind of device takes.

It holds a life and a transport and is told nothing of the other kinds. The device answers W with ten digits of grams.
"""

from __future__ import annotations

from drivers.device import DeviceState, Health, HealthLevel, OnEvent, Statistics
from drivers.errors import TransportError
from drivers.life import Life
from drivers.options import Options, none_left, parse_address, settings
from drivers.remedies import remedy_for
from drivers.transports.serial_port import SerialSettings, SerialTransport
from drivers.transports.transport import Transport


class Scale:
    """Asked, it answers; events tell only how its line is."""

    def __init__(self, name: str, transport: Transport, on_event: OnEvent) -> None:
        self.name = name
        self.statistics = Statistics("good_weight_read_count", "reconnect_count", "event_lost_count")
        self._transport = transport
        self._life = Life(name, self.statistics, on_event)

    @property
    def state(self) -> DeviceState:
        return self._life.state

    def open(self) -> None:
        self._life.step("open")

    def claim(self) -> None:
        self._life.step("claim")

    def enable(self) -> None:
        self._life.step("enable")
        self.check_health()

    def close(self) -> None:
        self._transport.close()
        self._life.step("close")

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
    for step in (scale.open, scale.claim, scale.enable):
        step()
    return scale
