"""`counterfoil devices list`: what is configured and how it is, what is plugged in, and what to paste for it."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.config import load, parse
from agent.diagnosis.discovery import discover
from drivers.recording import load as load_recording
from drivers.recording import replay
from drivers.virtual.scanner import VirtualScanner
from tests.cli.lane_on_disk import Command, LaneOnDisk, Said
from tests.drivers.machines import Machine

PAUSE_S = 0.4
"""Between two codes: what is sent while a port is being opened again is thrown away."""


def test_configured_devices_are_tried_here_while_the_agent_is_stopped(counterfoil: Command) -> None:
    said = counterfoil("devices", "list", "--json")
    assert said.code == 0
    assert said.json["asked_by"] == "command"
    assert [(row["name"], row["reason"]) for row in said.json["configured"]] == [("counter", ""), ("printer", "")]


def test_a_device_that_cannot_work_is_named_with_what_to_do_and_exit_code_4(
    lane: LaneOnDisk, counterfoil: Command
) -> None:
    lane.scanner.unplug()
    said = counterfoil("devices", "list")
    assert said.code == 4
    assert "do: Nothing answers at the device's address; check power, cable and address." in said.out


def test_the_running_agent_is_asked_because_its_devices_are_its_own(lane: LaneOnDisk, counterfoil: Command) -> None:
    with lane.running():
        assert counterfoil("devices", "list", "--json").json["asked_by"] == "agent"
        lane.printer.close()
        rows = {row["name"]: row for row in counterfoil("devices", "list", "--json").json["configured"]}
    assert (rows["counter"]["reason"], rows["printer"]["reason"]) == ("", "unreachable")


def desk(root: Path) -> Machine:
    """A USB scanner with a stable name, a typing scanner beside a keyboard, a mainboard port, a camera, a printer."""
    machine = Machine(root)
    machine.plug("tty", "ttyACM0", "1234:0001", "Shop Reader")
    machine.link("serial/by-id", "usb-Shop_Scanner_1", "ttyACM0")
    machine.plug("tty", "ttyS0")
    machine.plug_keyboard("event3", "05e0:1200", "Symbol Bar Code Scanner")
    machine.plug_keyboard("event4", "046d:c31c", "USB Keyboard")
    machine.plug("video4linux", "video0")
    machine.plug("usbmisc", "lp0")
    return machine


def test_what_is_plugged_in_comes_with_a_section_that_the_configuration_accepts(tmp_path: Path) -> None:
    found = discover(parse(""), desk(tmp_path).root)
    assert [device.kind for device in found] == ["serial", "scanner", "camera", "usb printer"]
    assert [parse(device.section).scanner["counter"].address for device in found[:2]] == [
        "serial:/dev/serial/by-id/usb-Shop_Scanner_1",
        "evdev:/dev/input/event3",
    ]
    assert parse(found[3].section).printer.address == "file:/dev/usb/lp0"


def test_what_is_configured_already_under_any_of_its_names_is_not_suggested_again(tmp_path: Path) -> None:
    config = parse('[scanner.counter]\naddress = "serial:/dev/ttyACM0"')
    sections = {device.kind: device.section for device in discover(config, desk(tmp_path).root)}
    assert sections["serial"] == ""
    assert "" not in (sections["camera"], sections["usb printer"], sections["scanner"])


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line on a computer that is no lane yet."""

    def run(*words: str) -> Said:
        code = main(list(words))
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def gun(tmp_path: Path) -> Iterator[VirtualScanner]:
    scanner = VirtualScanner(tmp_path / "gun", "crlf")
    yield scanner
    scanner.close()


@contextmanager
def scanning(gun: VirtualScanner, *codes: bytes) -> Iterator[None]:
    """Somebody scans as soon as the port is open, and the last code until the block ends."""
    done, port = threading.Event(), str(gun.path.readlink())

    def is_open() -> bool:
        """By another than the scanner itself."""
        opened = (os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir())
        return sum(path == port for path in opened) > 1

    def scan() -> None:
        while not is_open() and not done.wait(0.02):
            continue
        for code in codes[:-1]:
            time.sleep(PAUSE_S)
            gun.scan(code)
        while not done.wait(PAUSE_S):
            gun.scan(codes[-1])

    thread = threading.Thread(target=scan)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_probing_finds_the_suffix_and_says_what_to_write(gun: VirtualScanner, bare: Command) -> None:
    with scanning(gun, b"]E04006381333931"):
        said = bare("devices", "probe", f"serial:{gun.path}", "--wait", "60", "--json")
    assert (said.code, said.json["options"], said.json["reads"]) == (0, {"suffix": "crlf"}, True)
    assert parse(f'[scanner.counter]\naddress = "{said.json["address"]}"\nsuffix = "crlf"').scanner


def test_probing_goes_on_until_the_speed_fits(gun: VirtualScanner, bare: Command) -> None:
    """At a wrong speed garbage comes, and the person is asked to scan again."""
    with scanning(gun, b"\x8a\x05\x91", b"4006381333931"):
        said = bare("devices", "probe", f"serial:{gun.path}", "--wait", "60")
    assert said.code == 0
    assert "scan it again (now at 115200 8N1)" in said.out
    assert "baud = 115200" in said.out


def test_a_code_that_is_no_articles_changes_no_speed(gun: VirtualScanner, bare: Command) -> None:
    """Who scans a pass first has a scanner at the right speed all the same."""
    with scanning(gun, b"hQVDUFYwMQabcdef123", b"4006381333931"):
        said = bare("devices", "probe", f"serial:{gun.path}", "--wait", "60")
    assert said.code == 0
    assert "scan one of an article" in said.out
    assert "baud" not in said.out


def test_a_scanner_is_told_to_beep_so_that_one_hears_which_it_is(gun: VirtualScanner, bare: Command) -> None:
    said = bare("devices", "tell", "zebra", "beep", f"serial:{gun.path}")
    assert said.code == 0
    assert os.read(gun._master, 64).hex() == "05e6040000ff11"


def test_a_command_that_a_maker_does_not_know_or_a_line_cannot_carry_is_told_in_a_sentence(bare: Command) -> None:
    assert "beep, disable, enable" in bare("devices", "tell", "zebra", "dance", "serial:/dev/null").err
    assert "those of datalogic and zebra do" in bare("devices", "tell", "honeywell", "beep").err
    refused = bare("devices", "tell", "acme", "beep").err
    assert "datalogic, honeywell, zebra" in refused and "power and cable" not in refused
    assert "only scanners on a serial line do" in bare("devices", "tell", "zebra", "beep", "camera:0").err


def test_on_a_computer_that_is_no_lane_what_is_plugged_in_is_listed_all_the_same(
    bare: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.cli.devices.DEFAULT_CONFIG", tmp_path / "agent.toml")
    said = bare("devices", "list", "--config", f"{tmp_path}/agent.toml")
    assert said.code == 0
    assert "config init" in said.out
    assert "Plugged in:" in said.out


def test_a_recording_replays_and_holds_no_pass(gun: VirtualScanner, bare: Command, tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    secret = b"hQVDUFYwMQabcdef123"
    with scanning(gun, b"]E04006381333931", b"]Q1" + secret):
        options = ["--option", "suffix=crlf", "--count", "2", "--wait", "60"]
        said = bare("devices", "record", f"serial:{gun.path}", "--out", str(file), *options)
    assert said.code == 0
    recording = load_recording(file)
    assert replay(recording) == recording.told
    assert [symbology for symbology, _ in recording.told] == ["]E0", "]Q1"]
    assert bytes.fromhex(str(recording.told[0][1])) == b"4006381333931"
    assert bytes.fromhex(str(recording.told[1][1])) == b"xxxxxxxxxxxxxxxx000"
    assert secret.hex() not in file.read_text()


def test_a_device_that_is_not_there_is_told_in_a_sentence(bare: Command) -> None:
    said = bare("devices", "probe", "usb:0c2e:0b61", "--wait", "1")
    assert said.code == 1
    assert said.err.startswith("counterfoil: No such device is plugged in; check its cable")


def test_watching_ends_by_itself_after_its_time(bare: Command) -> None:
    said = bare("devices", "watch", "--seconds", "0.1")
    assert said.code == 0
    assert "Plug something in or out" in said.out


def test_looking_for_devices_opens_none(lane: LaneOnDisk) -> None:
    assert isinstance(discover(load(lane.config)), list)
