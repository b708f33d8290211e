"""`counterfoil devices list`: what is configured and how it is, what is plugged in, and what to paste for it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.config import load, parse
from agent.diagnosis import discovery
from agent.diagnosis.discovery import discover
from tests.cli.lane_on_disk import Command, LaneOnDisk


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


def plugged_in(dev: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A USB scanner with a stable name, a mainboard port, a camera and a USB printer."""
    for name in ("ttyACM0", "video0", "usb/lp0"):
        (dev / name).parent.mkdir(parents=True, exist_ok=True)
        (dev / name).touch()
    (dev / "serial/by-id").mkdir(parents=True)
    (dev / "serial/by-id/usb-Shop_Scanner_1").symlink_to(dev / "ttyACM0")
    ports = [(str(dev / "ttyACM0"), "Shop Scanner", 0x1234), ("/dev/ttyS0", "ttyS0", None)]
    listed = [_Port(*port) for port in ports]
    monkeypatch.setattr(discovery, "list_ports", SimpleNamespace(comports=lambda: listed))


class _Port(SimpleNamespace):
    def __init__(self, device: str, description: str, vid: int | None) -> None:
        super().__init__(device=device, description=description, vid=vid)

    def __lt__(self, other: "_Port") -> bool:
        return bool(self.device < other.device)


def test_what_is_plugged_in_comes_with_a_section_that_the_configuration_accepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged_in(tmp_path, monkeypatch)
    found = discover(parse(""), dev=tmp_path, sys_video=tmp_path)
    assert [device.kind for device in found] == ["serial", "camera", "usb printer"]
    assert found[0].address == f"serial:{tmp_path}/serial/by-id/usb-Shop_Scanner_1"
    parsed = parse("\n".join(device.section for device in found))
    assert parsed.scanner["counter"].address == found[0].address
    assert parsed.printer.address == f"file:{tmp_path}/usb/lp0"


def test_what_is_configured_already_under_any_of_its_names_is_not_suggested_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged_in(tmp_path, monkeypatch)
    config = parse(f'[scanner.counter]\naddress = "serial:{tmp_path}/ttyACM0"')
    sections = {device.kind: device.section for device in discover(config, dev=tmp_path, sys_video=tmp_path)}
    assert sections["serial"] == ""
    assert sections["camera"] != "" != sections["usb printer"]


def test_looking_for_devices_opens_none(lane: LaneOnDisk) -> None:
    assert isinstance(discover(load(lane.config)), list)
