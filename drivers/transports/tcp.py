"""A network device (ESC/POS on port 9100). Rule: one connection per piece of work, closed so that no byte is cut off.

Network printers take one client and drop idle ones after about 90 s, so nothing keeps a connection open.
"""

from __future__ import annotations

import socket
import time

from drivers.errors import TransportError
from drivers.transports.transport import open_failure

_SEND_BUFFER_BYTES = 16_384
"""Small: the kernel would take megabytes for a printer that takes nothing, and call them sent."""
_LINGER_S = 0.3
"""How long to wait for the other side to end the connection too."""


class TcpTransport:
    """A client of host:port."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def open(self, timeout_s: float) -> None:
        """Connects. Raises TransportError."""
        self.close()
        try:
            self._socket = socket.create_connection(self._address, timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        except OSError as error:
            raise open_failure(error) from error

    def write(self, data: bytes, timeout_s: float) -> None:
        """Sends all bytes to the kernel within the time-out. Raises TransportError."""
        connection = self._connection()
        deadline_s = time.monotonic() + timeout_s
        sent = 0
        while sent < len(data):
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0:
                raise TransportError("stalled", f"after {sent} of {len(data)} bytes", sent)
            try:
                connection.settimeout(remaining_s)
                sent += connection.send(data[sent:])
            except TimeoutError:
                continue
            except OSError as error:
                raise TransportError("lost", str(error), sent) from error

    def read(self, size_max: int, timeout_s: float) -> bytes:
        """What has arrived. Raises TransportError when the other side has gone."""
        connection = self._connection()
        try:
            connection.settimeout(max(timeout_s, 0.001))  # 0 would mean non-blocking
            data = connection.recv(size_max)
        except TimeoutError:
            return b""
        except OSError as error:
            raise TransportError("lost", str(error)) from error
        if not data:
            raise TransportError("lost", "the device closed the connection")
        return data

    def close(self) -> None:
        """Ends the connection after the last byte: unread answers would turn a plain close into a reset."""
        connection, self._socket = self._socket, None
        if connection is None:
            return
        deadline_s = time.monotonic() + _LINGER_S
        with connection:
            try:
                connection.shutdown(socket.SHUT_WR)
                while (remaining_s := deadline_s - time.monotonic()) > 0:
                    connection.settimeout(remaining_s)
                    if not connection.recv(4096):
                        break
            except OSError:
                return  # it is gone already, which is all that was wanted

    def _connection(self) -> socket.socket:
        if self._socket is None:
            raise TransportError("lost", "not connected")
        return self._socket
