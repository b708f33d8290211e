"""A USB printer by its ids. Rule: the kernel's node /dev/usb/lp* first; libusb only where the kernel has none.

The kernel's driver shares and survives unplugging; libusb (the extra `usb`) takes the device from everybody else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from drivers.errors import AddressError, TransportError
from drivers.inventory import Node, look
from drivers.transports.file import FileTransport
from drivers.transports.transport import Transport, open_failure

PRINTER_CLASS: Final = 7
"""bInterfaceClass of printers (USB-IF, Printer Device Class 1.1)."""
_CHUNK_BYTES = 4096
_READ_BYTES_MIN = 64
"""A full-speed packet: a shorter buffer overflows when the printer says more."""


@dataclass(frozen=True, slots=True)
class UsbIds:
    """Vendor, product (four hex digits each) and serial number, "" for any."""

    vendor: str
    product: str
    serial: str = ""

    @classmethod
    def parse(cls, text: str) -> UsbIds:
        """`VID:PID[:SERIAL]`. Raises AddressError."""
        vendor, _, rest = text.partition(":")
        product, _, serial = rest.partition(":")
        if not all(len(part) == 4 and set(part.lower()) <= set("0123456789abcdef") for part in (vendor, product)):
            raise AddressError(f"usb:{text} is not usb:VENDOR:PRODUCT[:SERIAL], four hex digits each")
        return cls(vendor.lower(), product.lower(), serial)

    def is_of(self, node: Node) -> bool:
        """Whether that node is this device's."""
        ids = (node.vendor_id.lower(), node.product_id.lower())
        return ids == (self.vendor, self.product) and self.serial in ("", node.serial)


class UsbTransport:
    """Found anew at each opening, so that it may be unplugged and plugged in anywhere."""

    def __init__(
        self, ids: UsbIds, inventory: Callable[[], Sequence[Node]] = look, libusb_backend: object = None
    ) -> None:
        self._ids, self._inventory, self._backend = ids, inventory, libusb_backend
        self._line: Transport | None = None

    def open(self, timeout_s: float) -> None:
        """Raises TransportError (not_plugged_in, usb_missing, busy, denied)."""
        self.close()
        nodes = [node for node in self._inventory() if node.kind == "printer" and self._ids.is_of(node)]
        line: Transport = FileTransport(nodes[0].path) if nodes else _Libusb(self._ids, self._backend)
        line.open(timeout_s)
        self._line = line

    def write(self, data: bytes, timeout_s: float) -> None:
        """Raises TransportError (lost, stalled)."""
        self._opened().write(data, timeout_s)

    def read(self, size_max: int, timeout_s: float) -> bytes:
        """Raises TransportError (lost)."""
        return self._opened().read(size_max, timeout_s)

    def close(self) -> None:
        """Lets go."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _opened(self) -> Transport:
        if self._line is None:
            raise TransportError("lost", "not open")
        return self._line


class _Libusb:
    """The bulk pipes of the printer's interface."""

    def __init__(self, ids: UsbIds, backend: object) -> None:
        self._ids, self._backend = ids, backend
        self._device: Any = None
        self._number = 0
        self._out: Any = None
        self._in: Any = None
        self._waiting = b""

    def open(self, timeout_s: float) -> None:  # noqa: ARG002 - nothing of it waits
        usb = _usb()
        try:
            self._device = self._found(usb)
            self._claim(usb)
        except usb.core.NoBackendError as error:
            raise TransportError("usb_missing", str(error)) from error
        except usb.core.USBError as error:
            self.close()
            raise open_failure(error) from error

    def write(self, data: bytes, timeout_s: float) -> None:
        usb, deadline_s, sent = _usb(), time.monotonic() + timeout_s, 0
        while sent < len(data):
            remaining_ms = int((deadline_s - time.monotonic()) * 1000)
            if remaining_ms <= 0:
                raise TransportError("stalled", f"after {sent} of {len(data)} bytes", sent)
            chunk = data[sent : sent + _CHUNK_BYTES]
            try:
                sent += self._out.write(chunk, remaining_ms)
            except usb.core.USBTimeoutError as error:  # part of the chunk may have left
                raise TransportError("stalled", str(error), sent + len(chunk)) from error
            except usb.core.USBError as error:
                raise TransportError("lost", str(error), sent + len(chunk)) from error

    def read(self, size_max: int, timeout_s: float) -> bytes:
        if not self._waiting:
            self._waiting = self._heard(max(size_max, _READ_BYTES_MIN), timeout_s)
        data, self._waiting = self._waiting[:size_max], self._waiting[size_max:]
        return data

    def close(self) -> None:
        device, self._device, self._waiting = self._device, None, b""
        if device is not None:
            _usb().util.dispose_resources(device)

    def _heard(self, size: int, timeout_s: float) -> bytes:
        usb = _usb()
        if self._in is None:  # a printer that only listens
            time.sleep(timeout_s)
            return b""
        try:
            return bytes(self._in.read(size, max(1, int(timeout_s * 1000))))
        except usb.core.USBTimeoutError:
            return b""
        except usb.core.USBError as error:
            raise TransportError("lost", str(error)) from error

    def _found(self, usb: Any) -> Any:
        found = usb.core.find(
            find_all=True,
            backend=self._backend,
            idVendor=int(self._ids.vendor, 16),
            idProduct=int(self._ids.product, 16),
        )
        for device in found:
            if self._ids.serial in ("", device.serial_number if self._ids.serial else ""):
                return device
        raise TransportError("not_plugged_in", f"{self._ids.vendor}:{self._ids.product}")

    def _claim(self, usb: Any) -> None:
        interface = usb.util.find_descriptor(self._device[0], bInterfaceClass=PRINTER_CLASS)
        if interface is None:
            self.close()
            raise TransportError("not_a_printer", "no interface of the printer class")
        self._number = interface.bInterfaceNumber
        usb.util.claim_interface(self._device, self._number)
        pipes = {usb.util.endpoint_direction(pipe.bEndpointAddress): pipe for pipe in interface}
        self._out, self._in = pipes[usb.util.ENDPOINT_OUT], pipes.get(usb.util.ENDPOINT_IN)


def _usb() -> Any:
    try:
        import usb.core
        import usb.util
    except ImportError as error:
        raise TransportError("usb_missing", str(error)) from error
    return usb
