"""A device that its configuration does not allow to exist. Rule: it says why, and the devices beside it work."""

from __future__ import annotations

from drivers.device import DeviceState, Health, HealthLevel, Statistics
from drivers.remedies import remedy_for

_REASON = "misconfigured"


class UnusableDevice:
    """Stands where the device would; `detail` says what is wrong with its section."""

    def __init__(self, name: str, detail: str) -> None:
        self.name = name
        self.detail = detail
        self.statistics = Statistics()

    @property
    def state(self) -> DeviceState:
        """Always failed."""
        return DeviceState("failed", _REASON)

    def open(self) -> None:
        """There is nothing to open, to claim or to enable."""

    claim = enable = try_now = enable_data = close = open

    def check_health(self, level: HealthLevel = "external") -> Health:
        """What is wrong, and what to do."""
        return Health(level, _REASON, f"{remedy_for(_REASON)} ({self.detail})")
