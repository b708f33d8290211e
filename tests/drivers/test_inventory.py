"""What is plugged in, told without opening anything, and which of it is a scanner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import drivers
from drivers.inventory import Node, look
from drivers.models import is_scanner, known_models, model_of, scanners_among
from tests.drivers.machines import KEYBOARD_DESCRIPTOR, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_is_plugged_into_a_machine_without_sysfs(tmp_path: Path) -> None:
    assert look(tmp_path / "nowhere") == ()


def test_a_device_is_named_by_the_path_that_stays(machine: Machine) -> None:
    machine.plug("tty", "ttyACM0", "0c2e:0b6a", "Vuquest 3310", "S1")
    machine.link("serial/by-id", "usb-Honeywell_S1-if00", "ttyACM0")
    assert look(machine.root) == (
        Node("serial", "/dev/serial/by-id/usb-Honeywell_S1-if00", "Vuquest 3310", "0c2e", "0b6a", "S1"),
    )


def test_a_hid_scanner_is_named_by_its_ids_because_its_node_has_no_stable_name(machine: Machine) -> None:
    machine.plug_hidpos("hidraw3", "1209:0001", "Till Scanner", "S7")
    (node,) = look(machine.root)
    assert (node.kind, node.path, node.address) == ("hidpos", "/dev/hidraw3", "usb:1209:0001:S7")


def test_a_hid_device_that_is_no_scanner_is_not_listed(machine: Machine) -> None:
    machine.plug_hidpos("hidraw0", "046d:c31c", "Keyboard", descriptor=KEYBOARD_DESCRIPTOR)
    assert look(machine.root) == ()


def test_ports_of_the_mainboard_and_power_buttons_are_not_listed(machine: Machine) -> None:
    machine.plug("tty", "ttyS0")
    machine.plug("input", "event0", name="Power Button", capabilities__key="10000000000000 0", id__bustype="0019")
    assert look(machine.root) == ()


def test_the_nodes_of_one_kind_come_in_the_order_of_their_numbers(machine: Machine) -> None:
    for number in (10, 9, 2):
        machine.plug("tty", f"ttyACM{number}", "0c2e:0b6a")
    assert [node.path for node in look(machine.root)] == ["/dev/ttyACM2", "/dev/ttyACM9", "/dev/ttyACM10"]


def test_one_scanner_is_used_by_its_best_line(machine: Machine) -> None:
    machine.plug("tty", "ttyACM0", "0c2e:0b6a", "Other", "S2")
    machine.plug_keyboard("event5", "05e0:1200", "Symbol Bar Code Scanner")
    machine.plug_hidpos("hidraw0", "1209:0001", "Vuquest", "S1")
    assert [node.kind for node in scanners_among(look(machine.root))] == ["hidpos", "serial", "keyboard"]


def test_an_ordinary_keyboard_is_never_taken_for_a_scanner(machine: Machine) -> None:
    """Whoever lost the keyboard they type on could not even correct the configuration."""
    for number, (ids, name) in enumerate(
        [
            ("046d:c31c", "Logitech USB Keyboard"),
            ("05f3:0007", "PI Engineering Kinesis"),
            ("0c2e:9999", "Honeywell Keypad"),
        ]
    ):
        machine.plug_keyboard(f"event{number}", ids, name)
    assert len(look(machine.root)) == 3
    assert scanners_among(look(machine.root)) == []


@pytest.mark.parametrize(
    ("kind", "ids", "name", "expected"),
    [
        ("keyboard", "05e0:1200", "", True),  # by its id
        ("keyboard", "1234:0001", "USB Barcode Reader", True),  # by its name
        ("keyboard", "1eab:1a03", "NLS-HR32", True),  # by the maker's rule for product ids
        ("keyboard", "1eab:1a06", "NLS-HR32", False),  # that rule says serial
        ("serial", "1eab:1a06", "NLS-HR32", True),
        ("serial", "0c2e:ffff", "", True),  # all of the maker's serial ports are scanners
        ("serial", "0403:6001", "FT232R USB UART", False),  # a bridge: anything may be behind it
        ("camera", "046d:0825", "QR webcam", False),  # auto takes no camera
        ("hidpos", "1234:0001", "", True),
    ],
)
def test_what_tells_a_scanner(kind, ids: str, name: str, expected: bool) -> None:
    assert is_scanner(Node(kind, "/dev/x", name, *ids.split(":"))) is expected


def test_every_model_of_the_table_has_a_maker_a_source_and_is_found_by_its_id() -> None:
    for model in known_models():
        node = Node(model.mode, "/dev/x", "", *model.id.split(":"))
        assert model_of(node) == model
        assert is_scanner(node)
        assert model.source


def test_the_rules_for_udev_name_every_maker_of_the_table() -> None:
    rules = (Path(__file__).parents[2] / "packaging/udev/60-counterfoil.rules").read_text()
    makers = json.loads((Path(drivers.__file__).parent / "models.json").read_text())["vendors"]
    assert rules.count("|".join(sorted(makers))) == 2
