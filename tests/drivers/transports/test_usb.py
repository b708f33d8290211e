"""A printer by its USB ids: the kernel's node first, else libusb, here the real pyusb over a bus of our own."""

from __future__ import annotations

import array
import builtins
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import usb.backend
import usb.core

from drivers.document import Document, Text
from drivers.errors import AddressError, TransportError
from drivers.inventory import Node
from drivers.printers.pos_printer import POSPrinter
from drivers.printers.profiles import PROFILES
from drivers.remedies import remedy_for
from drivers.transports.usb import UsbIds, UsbTransport
from drivers.virtual.escpos_reader import Asked, CutOff, PaperReader
from tests.drivers.conftest import HASTE

IDS = UsbIds("04b8", "0202")
SLIP = Document((Text("合计 Total"),))


class Bus(usb.backend.IBackend):
    """A bus with one device of two pipes, at whose end a printer prints and answers."""

    def __init__(self, interface_class: int = 7, fault: int = 0) -> None:
        self.reader, self.answers, self.slips = PaperReader(), b"", list[str]()
        self.interface_class, self.fault, self.is_open, self.gone = interface_class, fault, False, False

    def enumerate_devices(self) -> list[int]:
        return [] if self.gone else [1]

    def get_device_descriptor(self, dev: int) -> Any:
        return SimpleNamespace(
            bLength=18, bDescriptorType=1, bcdUSB=0x200, bDeviceClass=0, bDeviceSubClass=0, bDeviceProtocol=0,
            bMaxPacketSize0=64, idVendor=0x04B8, idProduct=0x0202, bcdDevice=1, iManufacturer=0, iProduct=0,
            iSerialNumber=0, bNumConfigurations=1, address=3, bus=1, port_number=1, port_numbers=(1,), speed=3,
        )  # fmt: skip

    def get_configuration_descriptor(self, dev: int, config: int) -> Any:
        return SimpleNamespace(
            bLength=9, bDescriptorType=2, wTotalLength=32, bNumInterfaces=1, bConfigurationValue=1, iConfiguration=0,
            bmAttributes=0x80, bMaxPower=50, extra_descriptors=[],
        )  # fmt: skip

    def get_interface_descriptor(self, dev: int, intf: int, alt: int, config: int) -> Any:
        if intf or alt:
            raise IndexError
        return SimpleNamespace(
            bLength=9, bDescriptorType=4, bInterfaceNumber=0, bAlternateSetting=0, bNumEndpoints=2,
            bInterfaceClass=self.interface_class, bInterfaceSubClass=1, bInterfaceProtocol=2, iInterface=0,
            extra_descriptors=[],
        )  # fmt: skip

    def get_endpoint_descriptor(self, dev: int, ep: int, intf: int, alt: int, config: int) -> Any:
        return SimpleNamespace(
            bLength=7, bDescriptorType=5, bEndpointAddress=(0x01, 0x82)[ep], bmAttributes=2, wMaxPacketSize=64,
            bInterval=0, bRefresh=0, bSynchAddress=0, extra_descriptors=[],
        )  # fmt: skip

    def open_device(self, dev: int) -> int:
        if self.fault:
            raise usb.core.USBError("no", None, self.fault)
        self.is_open = True
        return dev

    def close_device(self, dev_handle: int) -> None:
        self.is_open = False

    def claim_interface(self, dev_handle: int, intf: int) -> None: ...
    def release_interface(self, dev_handle: int, intf: int) -> None: ...
    def get_configuration(self, dev_handle: int) -> int:
        return 1

    def bulk_write(self, dev_handle: int, ep: int, intf: int, data: Any, timeout: int) -> int:
        if self.gone:
            raise usb.core.USBError("gone", None, 19)
        written = bytes(data)
        if written[:2] == b"\x10\x04":
            self.answers += b"\x12"
            return len(written)
        for event in self.reader.feed(written):
            if isinstance(event, CutOff):
                self.slips.append(event.text)
            elif isinstance(event, Asked) and event.kind == "paper":
                self.answers += b"\x00"
        return len(written)

    def bulk_read(self, dev_handle: int, ep: int, intf: int, buff: array.array[int], timeout: int) -> int:
        if not self.answers:
            raise usb.core.USBTimeoutError("nothing", None, 110)
        data, self.answers = self.answers[: len(buff)], self.answers[len(buff) :]
        buff[: len(data)] = array.array("B", data)
        return len(data)


def printer_on(bus: Bus) -> POSPrinter:
    printer = POSPrinter("front", UsbTransport(IDS, lambda: (), bus), PROFILES["generic-80"], patience=HASTE)
    for step in (printer.open, printer.claim, printer.enable):
        step()
    return printer


def test_a_slip_goes_out_through_libusb_and_is_confirmed_and_the_device_is_let_go() -> None:
    bus = Bus()
    outcome = printer_on(bus).print_document("a", SLIP, copy=False)
    assert (outcome.rung, bus.slips, bus.is_open) == ("confirmed", ["合计 Total"], False)


def test_a_printer_that_was_unplugged_says_so_and_prints_when_it_is_back() -> None:
    bus = Bus()
    printer = printer_on(bus)
    bus.gone = True
    assert printer.print_document("a", SLIP, copy=False).reason == "not_plugged_in"
    bus.gone = False
    assert printer.print_document("a", SLIP, copy=False).rung == "confirmed"


def test_a_printer_that_goes_in_mid_slip_leaves_doubt() -> None:
    bus = Bus()
    transport = UsbTransport(IDS, lambda: (), bus)
    transport.open(1)
    bus.gone = True
    with pytest.raises(TransportError) as raised:
        transport.write(b"x" * 100, 1)
    assert (raised.value.reason, raised.value.sent_max) == ("lost", 100)


@pytest.mark.parametrize(
    ("bus", "reason"), [(Bus(fault=13), "denied"), (Bus(fault=16), "busy"), (Bus(interface_class=3), "not_a_printer")]
)
def test_what_keeps_it_from_being_opened_is_said(bus: Bus, reason: str) -> None:
    with pytest.raises(TransportError) as raised:
        UsbTransport(IDS, lambda: (), bus).open(1)
    assert raised.value.reason == reason
    assert remedy_for(reason)


def test_the_kernels_node_comes_first(tmp_path: Path) -> None:
    node = tmp_path / "lp0"
    transport = UsbTransport(IDS, lambda: (Node("printer", str(node), "TM", "04B8", "0202"),), Bus(fault=13))
    transport.open(1)
    transport.write(b"slip", 1)
    transport.close()
    assert node.read_bytes() == b"slip"


def test_without_pyusb_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    really = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("usb"):
            raise ImportError(name)
        return really(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TransportError) as raised:
        UsbTransport(IDS, lambda: ()).open(1)
    assert "counterfoil[usb]" in remedy_for(raised.value.reason)


@pytest.mark.parametrize("text", ["", "04b8", "04b8:", "04b8:02", "zzzz:0202", "4b8:0202"])
def test_what_are_no_ids_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="four hex digits"):
        UsbIds.parse(text)


def test_a_serial_number_tells_two_alike_apart() -> None:
    wanted = UsbIds.parse("04B8:0202:X1:2")
    assert wanted.is_of(Node("printer", "/dev/usb/lp0", "TM", "04b8", "0202", "X1:2"))
    assert not wanted.is_of(Node("printer", "/dev/usb/lp1", "TM", "04b8", "0202", "X2"))
