"""The lane's standing with the backend: whether it is served, or was revoked or replaced.

The one rule: a refusal of the lane outlives the process, and only the backend's own word ends it: a lane that was taken
out of service must not sell again because somebody restarted it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from agent.ports import Ledger

LOG: Final = logging.getLogger(__name__)
NOTE: Final = "access_refused"
"""The name of the ledger's note; it is no part of the journal, which goes on to the backend whatever it says."""


class Standing:
    """``refusal`` is the backend's problem with this lane (``lane_revoked``, …); None: it is served."""

    def __init__(self, ledger: Ledger, changed: Callable[[], None]) -> None:
        self._ledger, self._changed = ledger, changed
        self.refusal = ledger.note(NOTE)

    def told(self, refusal: str | None) -> None:
        """The backend's newest word, durable before it counts."""
        if refusal == self.refusal:
            return
        self._ledger.take_note(NOTE, refusal)
        self.refusal = refusal
        LOG.warning("the backend's word on this lane: %s", refusal or "served", extra={"reason": refusal})
        self._changed()
