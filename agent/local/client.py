"""The command line's way to the running agent: plain HTTP over its Unix socket, standard library only.

The one rule: when the daemon is not there, the error says so and what to do; it is never a stack trace.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from agent.errors import AgentNotRunning, CounterfoilError

_TIMEVAL: Final = struct.Struct("ll")  # seconds, microseconds; none of both would be for ever


class RequestRefused(CounterfoilError):
    """The agent refused the request; ``problem`` is its RFC 9457 document."""

    code = "request_refused"

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail", "The agent refused the request.")))
        self.problem = problem
        self.hint = str(problem.get("hint") or "Correct the request and send it again.")  # type: ignore[misc]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path, self._wait_s = path, timeout_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        # In a crowd there is a queue at the socket: a blocking connect waits in it, a non-blocking one fails (unix(7)).
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(self._wait_s), 1))
        self.sock.connect(str(self._path))
        self.sock.settimeout(self._wait_s)


class LocalClient:
    """One lane's agent. ``timeout_s`` bounds each call; a sale may take its online budget and a flush."""

    def __init__(self, socket_path: Path, timeout_s: float = 75.0) -> None:
        self._socket_path, self._timeout_s = socket_path, timeout_s
        self._headers = {"Content-Type": "application/json"}

    @contextmanager
    def signed_in(self, operator: str, pin: str) -> Iterator[LocalClient]:
        """What is asked meanwhile, this operator answers for. Raises AgentNotRunning, RequestRefused."""
        session = self.post("/v1/operator-session", {"operator": operator, "pin": pin})["session"]
        self._headers["Counterfoil-Operator"] = session
        try:
            yield self
        finally:
            with suppress(AgentNotRunning, RequestRefused):
                self._ask("DELETE", "/v1/operator-session", None)
            del self._headers["Counterfoil-Operator"]

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self._ask("POST", path, body or {})

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What happens at the lane from now on, as (type, data), with a `still_here` in long silences; the first is a
        `reset` with the state as it is; ends when the agent stops. Raises AgentNotRunning."""
        connection = _UnixConnection(self._socket_path, self._timeout_s)
        try:
            connection.request("GET", "/v1/events")
            kind = ""
            for line in connection.getresponse():
                name, _, value = line.decode().strip().partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)
                elif line.startswith(b":"):
                    yield "still_here", {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AgentNotRunning(self._unanswered(error)) from error
        finally:
            connection.close()

    def _unanswered(self, error: Exception) -> str:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return f"The agent does not answer at {self._socket_path}: {reason}"

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        """The JSON answer. Raises AgentNotRunning, RequestRefused."""
        connection = _UnixConnection(self._socket_path, self._timeout_s)
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, data, self._headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AgentNotRunning(self._unanswered(error)) from error
        finally:
            connection.close()
        if response.status >= 400:
            raise RequestRefused(answer)
        return answer
