"""What every device has: a life, events, statistics, health. Rule: an event handler gets values and must not block.

Names follow UnifiedPOS 1.16 (open, claim, enable; DataEvent, StatusUpdateEvent, ErrorEvent; checkHealth, statistics).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from drivers.errors import LifeCycleError

State = Literal["closed", "opened", "claimed", "enabled", "failed"]
HealthLevel = Literal["internal", "external", "interactive"]

TRANSITIONS: dict[tuple[State, str], State] = {
    ("closed", "open"): "opened",
    ("opened", "claim"): "claimed",
    ("claimed", "enable"): "enabled",
    ("enabled", "disable"): "claimed",
    ("failed", "disable"): "claimed",
    ("claimed", "release"): "opened",
    # A device that fails is still enabled in the eyes of its user: it recovers without a restart.
    ("enabled", "fail"): "failed",
    ("failed", "fail"): "failed",
    ("failed", "recover"): "enabled",
    ("enabled", "recover"): "enabled",
    ("closed", "close"): "closed",
    ("opened", "close"): "closed",
    ("claimed", "close"): "closed",
    ("enabled", "close"): "closed",
    ("failed", "close"): "closed",
}


@dataclass(frozen=True, slots=True)
class DeviceState:
    """Where a device is in its life; `reason` (an id of `drivers.remedies`) only while it has failed."""

    name: State = "closed"
    reason: str = ""

    def after(self, event: str, reason: str = "") -> DeviceState:
        """The state after an event. Raises LifeCycleError for one that the state does not allow."""
        following = TRANSITIONS.get((self.name, event))
        if following is None:
            raise LifeCycleError(f"a device that is {self.name} cannot {event}")
        return DeviceState(following, reason if following == "failed" else "")

    @property
    def usable(self) -> bool:
        """Whether work may be given to the device; a failed one will try, and say why it could not."""
        return self.name in ("enabled", "failed")


@dataclass(frozen=True, slots=True)
class Article:
    """What an article code says; None where it has none.

    `gtin` has 14 digits whatever was printed (GTIN-8, UPC-A, UPC-E, EAN-13), so that one article has one number. Dates
    are ISO 8601 days. `price` is the decimal number of the code, "1.50"; the code names no currency.
    """

    gtin: str | None = None
    batch: str | None = None
    serial: str | None = None
    produced_on: str | None = None
    packed_on: str | None = None
    best_before: str | None = None
    sell_by: str | None = None
    expires_on: str | None = None
    net_weight_g: int | None = None
    count: int | None = None
    price: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Only the fields that the code has."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Scan:
    """One read: the bytes of the code without AIM prefix and suffix; `symbology` is the AIM id (`]Q3`) where sent.

    `article` is what an article code says (number, dates, weight, …), None for codes of other kinds.
    """

    raw: bytes
    symbology: str | None
    device: str
    monotonic_s: float
    article: Article | None = None


@dataclass(frozen=True, slots=True)
class DataEvent:
    """A scanner read a code."""

    scan: Scan


@dataclass(frozen=True, slots=True)
class StatusUpdateEvent:
    """A device's state or conditions changed; `conditions` are ids of `drivers.remedies`, empty when all is well."""

    device: str
    state: DeviceState
    conditions: tuple[str, ...]
    monotonic_s: float


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """One piece of work failed: a read that was dropped, a slip that did not print."""

    device: str
    reason: str
    monotonic_s: float


DeviceEvent = DataEvent | StatusUpdateEvent | ErrorEvent
OnEvent = Callable[[DeviceEvent], None]
"""Called on a device's own thread: puts the event on a bounded queue without waiting; may raise `queue.Full`."""


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of `check_health`: `reason` is "" when the device can work, else an id of `drivers.remedies`."""

    level: HealthLevel
    reason: str
    text: str

    @property
    def good(self) -> bool:
        """Whether the check found nothing wrong."""
        return not self.reason


class Statistics:
    """Counters since start under their UnifiedPOS names. A name that was not declared raises KeyError."""

    def __init__(self, *names: str) -> None:
        self._counts = Counter(dict.fromkeys(names, 0))
        self._powered_s = 0.0
        self._powered_since_s: float | None = None

    def add(self, name: str, count: int = 1) -> None:
        """Counts; each device writes from one thread at a time."""
        if name not in self._counts:
            raise KeyError(name)
        self._counts[name] += count

    def powered(self, is_on: bool, now_s: float) -> None:
        """The device works, or has stopped working; the hours in between are counted. `now_s` is monotonic."""
        if self._powered_since_s is not None:
            self._powered_s += now_s - self._powered_since_s
        self._powered_since_s = now_s if is_on else None

    def hours_powered(self, now_s: float) -> int:
        """Whole hours in which the device worked."""
        running_s = now_s - self._powered_since_s if self._powered_since_s is not None else 0.0
        return int((self._powered_s + running_s) // 3600)

    def snapshot(self) -> dict[str, int]:
        """All counters, also those still at zero."""
        return dict(self._counts)


class Closable(Protocol):
    """Something that ends with a device, such as the stand-in behind a virtual one."""

    def close(self) -> None:
        """Ends it."""


class Device(Protocol):
    """What the composition root and the field commands need to know of any device."""

    name: str
    statistics: Statistics

    @property
    def state(self) -> DeviceState:
        """Where it is in its life."""

    def open(self) -> None:
        """Checks what can be checked without touching the device."""

    def claim(self) -> None:
        """Takes the device for this program alone."""

    def enable(self) -> None:
        """Starts it. A device that is not there becomes `failed` and recovers by itself."""

    def close(self) -> None:
        """Ends it from any state, and waits for its thread."""

    def check_health(self, level: HealthLevel = "external") -> Health:
        """internal: this program's side; external: asks the device; interactive: a person sees or does something."""
