"""What a peer and the log hear when a request is refused or fails.

The one rule: the peer always gets a problem document; the log gets one line for each lane and reason in a minute, with
nothing that a request said, so that neither a customer nor a flood ends up there.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from backend.database import FAULTS, Contended
from backend.problems import MEDIA_TYPE, Problem
from backend.standstills import told

LOG_AGAIN_S: Final = 60
SPEAKERS_MAX: Final = 10_000
BUSY_AGAIN_S: Final = 2

_STATUS: Final = {404: "not_found", 405: "method_not_allowed"}

log = logging.getLogger("counterfoil.backend")


class Refusals:
    """Turns whatever a call raised into the answer. ``clock`` gives seconds; any clock will do."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._said_at: dict[tuple[str, str], int] = {}

    def answer(self, error: Exception, lane: str | None, *, closing: bool = False) -> Response:
        """The problem document for what a call raised; ``closing``: it is the last on its connection."""
        problem = _problem(error)
        if problem is None:
            problem = self._mistake(error)
        elif self._is_news(lane or "-", problem.problem):
            log.warning("refused lane %s: %s", lane or "-", problem.problem)
        headers = problem.headers() | ({"connection": "close"} if closing else {})
        return Response(problem.document(), problem.http_status, headers, MEDIA_TYPE)

    def _is_news(self, lane: str, reason: str) -> bool:
        now_s = self._clock()
        if now_s - self._said_at.get((lane, reason), -LOG_AGAIN_S) < LOG_AGAIN_S:
            return False
        if len(self._said_at) >= SPEAKERS_MAX:
            self._said_at.clear()
        self._said_at[lane, reason] = now_s
        return True

    def _mistake(self, error: Exception) -> Problem:
        number = secrets.token_hex(4)
        log.error("mistake %s: %s", number, told(error))
        return Problem("internal", f"the log has more under {number}", incident=number)


def _problem(error: Exception) -> Problem | None:
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(_STATUS.get(error.status_code, "malformed"))
    if isinstance(error, (*FAULTS, Contended)):
        # Whether the request took effect is unknown here; a retry will tell.
        log.error("database: %s", type(error).__name__)
        return Problem("unavailable", retry_after_s=BUSY_AGAIN_S)
    return None
