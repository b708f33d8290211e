"""A scanner that is found anew each time it is opened. Rule: one that another has taken is left to them.

So an address by USB ids, or `auto`, holds wherever the device is plugged in, and two `auto` scanners are two devices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from drivers.errors import TransportError
from drivers.inventory import Node
from drivers.scanners.scanner import CodeStream
from drivers.transports.transport import Transport


class _Line(Protocol):
    @property
    def transport(self) -> Transport: ...
    @property
    def new_stream(self) -> Callable[[], CodeStream]: ...


class LocatedTransport:
    """The first of the found nodes that opens; `find` gives them in the order of preference."""

    def __init__(self, find: Callable[[], list[Node]], line_of: Callable[[Node], _Line]) -> None:
        self._find, self._line_of = find, line_of
        self._line: _Line | None = None
        self.node: Node | None = None

    def open(self, timeout_s: float) -> None:
        """Raises TransportError (not_plugged_in, or why the last one could not be opened)."""
        self.close()
        failure = TransportError("not_plugged_in")
        for node in self._find():
            line = self._line_of(node)
            try:
                line.transport.open(timeout_s)
            except TransportError as error:
                failure = error
            else:
                self._line, self.node = line, node
                return
        raise failure

    def new_stream(self) -> CodeStream:
        """The stream of the line that was opened. Raises TransportError (lost)."""
        return self._opened().new_stream()

    def write(self, data: bytes, timeout_s: float) -> None:
        """Raises TransportError."""
        self._opened().transport.write(data, timeout_s)

    def read(self, size_max: int, timeout_s: float) -> bytes:
        """Raises TransportError (lost)."""
        return self._opened().transport.read(size_max, timeout_s)

    def close(self) -> None:
        """Lets go."""
        line, self._line, self.node = self._line, None, None
        if line is not None:
            line.transport.close()

    def _opened(self) -> _Line:
        if self._line is None:
            raise TransportError("lost", "not open")
        return self._line
