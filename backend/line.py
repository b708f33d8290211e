"""One connection to the backend: HTTP/1.1 behind TLS, with the peer's certificate as the lane's identity.

The one rule: a peer cannot hold what others need. Connections are bounded for each peer, a request must have arrived
after half a minute, and whatever is no HTTP is answered with a problem document too.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from backend.bodies import HEADER_BYTES_MAX, REQUEST_S
from backend.calls import LANE_SCOPE
from backend.identity import LaneName, lane_name
from backend.problems import Problem
from backend.refusals import Refusals

CONNECTIONS_MAX: Final = 512
CONNECTIONS_PER_PEER_MAX: Final = 32
"""A lane has eight, and its stream of events. Peers without a certificate are told apart by address."""
PATIENCE: Final = 2
"""So many times the bound may wait for a polite answer; beyond that, connections are just dropped."""
GRACE_S: Final = 2.0
"""The application tells a slow body off by itself; the connection ends when even that does not help."""


class LaneProtocol(H11Protocol):
    """HTTP/1.1 that hands the verified peer certificate to the application, which uvicorn hides."""

    refusals: Final = Refusals(lambda: int(time.monotonic()))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.peer = ""
        self._lane: LaneName | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        self._lane = lane_name(connection.getpeercert()) if connection else None
        self.peer = self._lane.lane if self._lane else f"@{self.client[0] if self.client else ''}"
        self._make_room()
        self._watch(is_arriving=True)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch(is_arriving=self._is_arriving())

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch(is_arriving=False)
        super().connection_lost(exc)

    def send_400_response(self, _msg: str) -> None:
        """uvicorn's answer to what is no HTTP, as a problem document."""
        too_large = len(self.conn.trailing_data[0]) > HEADER_BYTES_MAX
        self._refuse(Problem("headers_too_large") if too_large else Problem("malformed", "this is no HTTP request"))

    def _make_room(self) -> None:
        """Refuse this connection if its peer, or all peers together, have too many."""
        inner, lane = self.app, self._lane
        mine = sum(1 for other in self.connections if getattr(other, "peer", None) == self.peer)
        crowding = max(mine / CONNECTIONS_PER_PEER_MAX, len(self.connections) / CONNECTIONS_MAX)
        if crowding > PATIENCE:
            self.transport.abort()
        problem = Problem("too_many_requests", "too many connections", retry_after_s=1) if crowding > 1 else None

        async def with_lane(scope: Any, receive: Any, send: Any) -> None:
            scope[LANE_SCOPE] = lane
            app = self.refusals.answer(problem, self.peer, closing=True) if problem else inner
            await app(scope, receive, send)

        self.app = with_lane

    def _is_arriving(self) -> bool:
        """Whether a request has begun that is not all here."""
        state = self.conn.their_state
        return state is h11.SEND_BODY or (state is h11.IDLE and bool(self.conn.trailing_data[0]))

    def _watch(self, *, is_arriving: bool) -> None:
        if is_arriving and self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_S + GRACE_S, self._give_up)
        elif not is_arriving and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
        elif self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(Problem("too_slow", f"the header did not arrive within {REQUEST_S:g} s"))
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answer without the application, and close."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        answer = self.refusals.answer(problem, self.peer, closing=True)
        head = h11.Response(status_code=answer.status_code, headers=answer.raw_headers)
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
