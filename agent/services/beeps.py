"""When the counter is called by a sound: the sale was declined, or somebody has to do something first.

The one rule: one sound for what became of one attempt, however often it is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

Signal = Literal["attention", "refused"]
STEP_UP: Final = "1A"
"""ISO 8583 field 39, additional authentication required: it goes on at the customer's phone and is no refusal."""


class Beeps:
    """Follows the views of the sales. ``on_decline``, ``on_attention``: what the lane wants to hear."""

    def __init__(self, *, on_decline: bool, on_attention: bool) -> None:
        self._wanted: dict[Signal, bool] = {"refused": on_decline, "attention": on_attention}
        self._last: tuple[object, ...] = ()

    def heard(self, view: Mapping[str, Any]) -> Signal | None:
        """The sound for what has become of a sale; None: nothing new, or nothing to hear."""
        now = (view["sale_id"], view.get("attempt"), view["state"], view.get("response_code"))
        if now == self._last:
            return None
        self._last = now
        signal = _signal(view)
        return signal if signal and self._wanted[signal] else None


def _signal(view: Mapping[str, Any]) -> Signal | None:
    match view["state"]:
        case "choosing":
            return "attention"
        case "declined":
            return "attention" if view.get("response_code") == STEP_UP else "refused"
    return None
