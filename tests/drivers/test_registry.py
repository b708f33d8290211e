"""Addresses and options from a configuration become working devices, or one sentence that says what is wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from drivers.device import StatusUpdateEvent
from drivers.document import Document, Text
from drivers.errors import AddressError, OptionError
from drivers.options import parse_address
from drivers.registry import KINDS, open_device, open_printer, open_scanner
from drivers.unusable import UnusableDevice
from drivers.virtual.printer import VirtualPrinter
from drivers.virtual.scanner import VirtualScanner
from tests.drivers.conftest import Events
from tests.drivers.toy_scale import Scale, open_scale

SLIP = Document((Text("合计"),))


def test_a_virtual_printer_prints_into_its_directory(tmp_path: Path) -> None:
    printer = open_printer("front", f"virtual:{tmp_path}", {"profile": "generic-58", "quiet_s": 0.03})
    assert printer.print_document("1", SLIP, copy=False).rung == "confirmed"
    assert (tmp_path / "001.txt").read_text(encoding="utf-8") == "合计\n"
    assert isinstance(printer.stand_in, VirtualPrinter)
    assert printer.stand_in._columns == 32
    printer.close()


def test_a_virtual_scanner_scans(tmp_path: Path, events: Events) -> None:
    scanner = open_scanner("gun", f"virtual:{tmp_path}/port", {"suffix": "cr"}, on_event=events.put)
    assert isinstance(scanner.stand_in, VirtualScanner)
    scanner.stand_in.scan(b"code")
    assert events.codes(1) == [(b"code", None)]
    scanner.close()
    assert not (tmp_path / "port").exists()


def test_a_file_printer_keeps_bytes_and_paper_may_be_narrower_than_the_profile(tmp_path: Path) -> None:
    printer = open_printer("f", f"file:{tmp_path}/out", {"profile": "generic-80-mute", "columns": 32})
    assert printer.profile.columns == 32
    assert printer.print_document("1", SLIP, copy=False).rung == "sent_unconfirmed"
    printer.close()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "tcp",
        "tcp:",
        "tcp:host",
        "tcp::9100",
        "tcp:host:0",
        "tcp:host:65536",
        "tcp:host:x",
        "usb:1:2",
        "auto",
        "/dev/lp0",
    ],
)
def test_an_address_that_names_nothing_is_refused(address: str) -> None:
    with pytest.raises(AddressError):
        open_printer("front", address)


def test_a_scanner_is_not_on_the_network() -> None:
    with pytest.raises(AddressError, match="serial, hidraw, evdev, camera"):
        open_scanner("gun", "tcp:h:1", on_event=print)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"profile": "epson"}, "generic-80"),
        ({"baud": 9600}, "baud"),  # no serial line
        ({"colour": "red"}, "colour"),
        ({"columns": 40}, "32, 36, 42, 44, 48"),
        ({"confirm_s": 0}, "confirm_s"),
        ({"confirm_s": "long"}, "confirm_s"),
        ({"confirm_s": True}, "confirm_s"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_its_name(options: dict[str, object], word: str) -> None:
    with pytest.raises(OptionError, match=word):
        open_printer("front", "tcp:127.0.0.1:1", options)


@pytest.mark.parametrize(
    "options", [{"baud": 12}, {"parity": "x"}, {"data_bits": 9}, {"suffix": "eot"}, {"baud": "9600"}]
)
def test_port_settings_that_no_port_has_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        open_scanner("gun", "serial:/dev/null", options, on_event=print)


def test_a_path_may_hold_colons() -> None:
    assert parse_address("serial:/dev/serial/by-path/pci-0:1.0").target == "/dev/serial/by-path/pci-0:1.0"


def test_a_new_kind_of_device_is_one_file_and_one_row(
    tmp_path: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "scale", open_scale)
    port = VirtualScanner(tmp_path / "scale")
    scale = open_device("scale", "weigh", f"serial:{port.path}", {"baud": 2400}, on_event=events.put)
    port._write(b"0000001752", time.monotonic() + 1)
    assert isinstance(scale, Scale)
    assert scale.weight_g() == 1752
    port.unplug()
    assert scale.weight_g() is None
    assert (scale.state.name, scale.check_health().good) == ("failed", False)
    port.replug()
    scale.weight_g()
    assert [e.state.name for e in events.drain() if isinstance(e, StatusUpdateEvent)] == ["failed", "failed"]
    scale.close()
    port.close()


def test_a_kind_without_a_row_is_refused_with_those_that_there_are(events: Events) -> None:
    with pytest.raises(AddressError, match="scanner, printer"):
        open_device("scale", "weigh", "serial:/dev/ttyS0", on_event=events.put)


@pytest.mark.parametrize("address", ["usb:0c2e", "usb:0c2e:xyz1", "usb:1209:0001:", "auto:x", "evdev:", "hid:/dev/x"])
def test_an_address_of_a_scanner_that_could_not_exist_is_refused(address: str) -> None:
    with pytest.raises(AddressError):
        open_scanner("gun", address, on_event=print)


@pytest.mark.parametrize("options", [{"layout": "dvorak"}, {"baud": 12}, {"suffix": "eot"}, {"colour": "red"}])
def test_auto_refuses_a_wrong_option_before_anything_is_plugged_in(options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        open_scanner("gun", "auto", options, on_event=print)


def test_a_device_that_its_section_does_not_allow_says_what_is_wrong() -> None:
    device = UnusableDevice("gun", "baud must be 300 to 4000000, not 12")
    assert (device.state.name, device.state.reason, device.state.usable) == ("failed", "misconfigured", True)
    assert "not 12" in device.check_health().text
    device.close()
