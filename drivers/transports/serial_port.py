"""A serial port: RS-232, USB-CDC, a pty. Rule: the port is opened for this program alone (TIOCEXCL).

pyserial opens and sets the port; it is read directly, because that takes half the calls. An unplugged port shows as an
OSError, or as ready to read with nothing there; both are `lost`.
"""

from __future__ import annotations

import errno
import os
import select
import termios
import time
from dataclasses import dataclass
from typing import Any, Literal

import serial

from drivers.errors import OptionError, TransportError
from drivers.transports.transport import open_failure

_CHUNK_BYTES = 256


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """Port settings; the defaults are those that scanners and printers leave the factory with (9600 8N1)."""

    baud: int = 9600
    data_bits: Literal[7, 8] = 8
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    xon_xoff: bool = False
    rts_cts: bool = False
    dsr_dtr: bool = False

    def __post_init__(self) -> None:
        if self.parity not in ("none", "even", "odd") or self.data_bits not in (7, 8) or self.stop_bits not in (1, 2):
            raise OptionError(f"no serial port has these settings: {self}")
        if not 300 <= self.baud <= 4_000_000:
            raise OptionError(f"baud must be 300 to 4000000, not {self.baud}")

    def line_s(self, size_bytes: int) -> float:
        """Seconds that so many bytes take on this line: a start bit, data, parity, stop bits."""
        bits = 1 + self.data_bits + (self.parity != "none") + self.stop_bits
        return size_bytes * bits / self.baud


class SerialTransport:
    """One port by its path, best one of /dev/serial/by-id."""

    def __init__(self, path: str, settings: SerialSettings) -> None:
        self._path = path
        self._settings = settings
        self._port: Any = None

    def open(self, timeout_s: float) -> None:
        """Opens the port; what was waiting in it is thrown away. Raises TransportError."""
        self.close()
        s = self._settings
        try:
            self._port = serial.Serial(
                self._path, s.baud, s.data_bits, s.parity[0].upper(), s.stop_bits, timeout=timeout_s,
                xonxoff=s.xon_xoff, rtscts=s.rts_cts, dsrdtr=s.dsr_dtr, exclusive=True,
            )  # fmt: skip
        except (OSError, ValueError, termios.error) as error:  # SerialException is an OSError, not always with an errno
            raise self._open_failure(error) from error

    def write(self, data: bytes, timeout_s: float) -> None:
        """Writes all bytes in small chunks, so that a time-out knows how far it came. Raises TransportError.

        The time-out is the device's; what the line needs at its speed comes on top.
        """
        port, deadline_s = self._opened(), time.monotonic() + timeout_s + self._settings.line_s(len(data))
        for start in range(0, len(data), _CHUNK_BYTES):
            chunk = data[start : start + _CHUNK_BYTES]
            try:
                port.write_timeout = max(deadline_s - time.monotonic(), 0.001)
                port.write(chunk)
            except serial.SerialTimeoutException as error:
                raise TransportError("stalled", str(error), start + len(chunk)) from error
            except (OSError, TypeError) as error:  # pyserial closes itself under a reader: TypeError on a None handle
                raise TransportError("lost", str(error), start + len(chunk)) from error

    def read(self, size_max: int, timeout_s: float) -> bytes:
        """The first byte and whatever came with it. Raises TransportError (lost)."""
        port = self._opened()
        try:
            if not select.select([port.fd], [], [], timeout_s)[0]:
                return b""
            data = os.read(port.fd, size_max)
        except BlockingIOError:
            return b""
        except (OSError, TypeError, ValueError) as error:  # the handle is None or -1 once pyserial has closed itself
            raise TransportError("lost", str(error)) from error
        if not data:
            raise TransportError("lost", "ready to read, but nothing there: unplugged")
        return data

    def close(self) -> None:
        """Closes the port."""
        port, self._port = self._port, None
        if port is not None:
            try:
                port.close()
            except OSError:
                return  # unplugged: there is nothing left to close

    def _opened(self) -> Any:
        if self._port is None:
            raise TransportError("lost", "not open")
        return self._port

    def _open_failure(self, error: Exception) -> TransportError:
        if not isinstance(error, OSError):
            return TransportError("unreachable", f"{self._path}: {error}")
        # pyserial turns the failed exclusive lock into a text with the number of EAGAIN but without errno
        if error.errno is None and f"Errno {errno.EAGAIN}]" in str(error):
            return TransportError("busy", str(error))
        return open_failure(error)
