"""What can go wrong between the lane and the backend, as one small tree.

The one rule: a fault says whether the request may have taken effect. `NotReached` means that it cannot; `NoAnswer`
means that nobody knows; `Refused` is the backend's own word. Nothing of the HTTP library gets past this tree.

    BackendFault
    +- NotReached        nothing left this machine: try later, no outcome is open
    +- NoAnswer          it may have arrived: late, an error of the server, or an answer that is not the backend's
    |  +- Torn           the connection broke in the middle: the same bytes may be sent again at once
    |  +- Busy           the backend asks for a pause, and may say how long and why
    +- Refused           a problem document (RFC 9457): repeating it unchanged is useless
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final

from agent.errors import UplinkError

RETRY_AFTER_MAX_S: Final = 300
"""A longer pause is not granted: the lane must notice within minutes that the backend is back."""


class Retry(Enum):
    """Whether the same request can succeed later."""

    SOON = auto()  # after the usual backoff
    PAUSED = auto()  # after the pause that Retry-After asks for (RFC 9110 section 10.2.3)
    NEVER = auto()  # the request, the lane or people must change something first


RETRY: Final[Mapping[int, Retry]] = {
    408: Retry.SOON,  # the request came too slowly (RFC 9110 section 15.5.9)
    425: Retry.SOON,  # too early (RFC 8470)
    429: Retry.PAUSED,  # too many requests (RFC 6585)
    500: Retry.SOON,
    502: Retry.SOON,
    503: Retry.PAUSED,  # unavailable, or recovering
    504: Retry.SOON,
}
"""By HTTP status. Of those that are not here, 4xx speak of the request, and all others are nobody's word: SOON."""

ACCESS_REFUSALS: Final = frozenset({"lane_revoked", "lane_replaced", "certificate_expired"})
"""Problems that speak of the lane itself and not of what it asked for: any call may get them, with status 403."""


def retry_of(status: int) -> Retry:
    """What the table says of a status that is no success."""
    return RETRY.get(status, Retry.NEVER if 400 <= status < 500 else Retry.SOON)


class BackendFault(UplinkError):
    """The backend did not do what it was asked; `retry_after_s` is the pause that it asks for, if any."""

    retry_after_s: int | None = None


class NotReached(BackendFault):
    """There is no connection to the backend; nothing was sent."""

    code = "backend_not_reached"


class NoAnswer(BackendFault):
    """The backend gave no answer that can be used; what was sent may have taken effect."""

    code = "backend_no_answer"


class Torn(NoAnswer):
    """The connection to the backend broke before the answer was complete."""

    code = "backend_torn"


class Busy(NoAnswer):
    """The backend asks for a pause; `problem` is why, if a problem document says so ("recovering")."""

    code = "backend_busy"

    def __init__(self, message: str, retry_after_s: int | None, problem: str | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = None if retry_after_s is None else min(retry_after_s, RETRY_AFTER_MAX_S)
        self.problem = problem


class Refused(BackendFault):
    """The backend refused the request: `problem` is the stable id of RFC 9457's type, `fields` its other members."""

    code = "backend_refused"

    def __init__(self, problem: str, message: str, fields: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.problem = problem
        self.fields = fields
