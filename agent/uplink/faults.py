"""What can go wrong between the lane and the backend, as one small tree.

The one rule: a fault says whether the request may have taken effect. `NotReached` means that it cannot; `NoAnswer`
means that nobody knows; `Refused` is the backend's own word. Nothing of the HTTP library gets past this tree.

    BackendFault
    +- NotReached        nothing left this machine: try later, no outcome is open
    +- NoAnswer          it may have arrived: late, an error of the server, or an answer that is not the backend's
    |  +- Torn           the connection broke in the middle: the same bytes may be sent again at once
    |  +- Busy           429 or 503, with the pause the backend asks for
    +- Refused           a problem document (RFC 9457) with a 4xx status: repeating it unchanged is useless
"""

from collections.abc import Mapping
from typing import Any

from agent.errors import UplinkError

RETRY_AFTER_MAX_S = 300
"""A longer pause is not granted: the lane must notice within minutes that the backend is back."""


class BackendFault(UplinkError):
    """The backend did not do what it was asked."""


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
    """The backend asks for a pause of `retry_after_s` seconds (None: it does not say how long)."""

    code = "backend_busy"

    def __init__(self, message: str, retry_after_s: int | None) -> None:
        super().__init__(message)
        self.retry_after_s = None if retry_after_s is None else min(retry_after_s, RETRY_AFTER_MAX_S)


class Refused(BackendFault):
    """The backend refused the request: `problem` is the stable id of RFC 9457's type, `fields` its other members."""

    code = "backend_refused"

    def __init__(self, problem: str, message: str, fields: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.problem = problem
        self.fields = fields
