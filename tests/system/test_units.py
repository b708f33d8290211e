"""The units that a package installs: what systemd thinks of them, and what they promise of themselves."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.config import DEFAULTS
from agent.uplink.identity import IDENTITY_FILE

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNITS = ("counterfoil.service", "counterfoil-uplink.service")
DROP_INS = (
    SYSTEMD / "counterfoil.service.d" / "network-printer.conf",
    SYSTEMD / "counterfoil-uplink.service.d" / "backend-only.conf",
)
TARGETS = ("basic", "local-fs", "multi-user", "network", "nss-lookup", "shutdown", "sysinit")
EXPOSURE_TENTHS_MAX = 13
EXECUTABLE = "usr/lib/counterfoil/venv/bin/counterfoil"

with_systemd = [
    pytest.mark.system,
    pytest.mark.proof,
    pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"),
]


def directives(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("path", [*(SYSTEMD / unit for unit in UNITS), *DROP_INS], ids=lambda path: path.name)
def test_every_directive_says_why(path: Path) -> None:
    lines = path.read_text().splitlines()
    written = [(above, line) for above, line in itertools.pairwise(lines) if re.match(r"\w+=", line)]
    assert written
    assert [line for above, line in written if not above.startswith("#")] == []


@pytest.mark.parametrize("unit", UNITS)
def test_a_lane_that_is_not_enrolled_waits_without_a_failure(unit: str) -> None:
    identity = DEFAULTS.lane.state_dir / "identity" / IDENTITY_FILE
    assert directives(SYSTEMD / unit)["ConditionPathExists"] == [str(identity)]


def test_the_directories_are_those_of_the_configuration() -> None:
    daemon = directives(SYSTEMD / UNITS[0])
    state, witness = (Path("/var/lib", name) for name in daemon["StateDirectory"][0].split())
    assert (state, witness) == (DEFAULTS.lane.state_dir, DEFAULTS.lane.witness_file.parent)
    assert Path("/run", *daemon["RuntimeDirectory"]) == DEFAULTS.lane.run_dir


def test_the_daemon_has_no_network_and_the_uplink_no_devices() -> None:
    daemon, uplink = (directives(SYSTEMD / unit) for unit in UNITS)
    assert (daemon["IPAddressDeny"], daemon["IPAddressAllow"]) == (["any"], ["localhost"])
    assert uplink["PrivateDevices"] == ["yes"]
    assert "DeviceAllow" not in uplink


@pytest.mark.parametrize("unit", UNITS)
def test_the_lane_is_never_given_up(unit: str) -> None:
    found = directives(SYSTEMD / unit)
    assert (found["Restart"], found["StartLimitIntervalSec"]) == (["always"], ["0"])
    assert int(found["WatchdogSec"][0]) <= 20


class TestBySystemd:
    pytestmark = with_systemd

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """A root as far as the units look: themselves, what they start, the targets that they name."""
        units = tmp_path / "etc/systemd/system"
        units.mkdir(parents=True)
        for path in [*(SYSTEMD / unit for unit in UNITS), *(Path(f"/lib/systemd/system/{t}.target") for t in TARGETS)]:
            shutil.copy(path, units)
        (tmp_path / EXECUTABLE).parent.mkdir(parents=True)
        shutil.copy("/bin/true", tmp_path / EXECUTABLE)
        return tmp_path

    @pytest.mark.parametrize("unit", UNITS)
    def test_systemd_understands_every_line(self, root: Path, unit: str) -> None:
        assert complaints(root, unit) == ""

    @pytest.mark.parametrize("example", DROP_INS, ids=lambda path: path.name)
    def test_systemd_understands_the_examples(self, root: Path, example: Path) -> None:
        shutil.copytree(example.parent, root / "etc/systemd/system" / example.parent.name)
        assert complaints(root, example.parent.name.removesuffix(".d")) == ""

    @pytest.mark.parametrize(("right", "wrong"), [("ProtectHome=", "ProtectHoem="), ("=10\n", "=banana\n")])
    def test_a_line_that_systemd_does_not_understand_is_noticed(self, root: Path, right: str, wrong: str) -> None:
        rewrite(root, UNITS[0], right, wrong)
        assert complaints(root, UNITS[0]) != ""

    @pytest.mark.parametrize("unit", UNITS)
    def test_a_unit_exposes_at_most_one_point_three(self, root: Path, unit: str) -> None:
        done = exposure(root, unit)
        assert done.returncode == 0, done.stdout

    @pytest.mark.parametrize("dropped", ["CapabilityBoundingSet=\n", "NoNewPrivileges=yes\n"])
    def test_a_unit_without_one_of_its_guards_exposes_too_much(self, root: Path, dropped: str) -> None:
        rewrite(root, UNITS[0], dropped, "")
        assert exposure(root, UNITS[0]).returncode == 1


def rewrite(root: Path, unit: str, old: str, new: str) -> None:
    path = root / "etc/systemd/system" / unit
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def complaints(root: Path, unit: str) -> str:
    """What systemd says of a unit. Its exit code is 0 even for a key that it does not know."""
    line = ["systemd-analyze", "verify", "--man=no", f"--root={root}", unit]
    return subprocess.run(line, capture_output=True, text=True, check=False).stderr


def exposure(root: Path, unit: str) -> subprocess.CompletedProcess[str]:
    options = ["--offline=true", f"--threshold={EXPOSURE_TENTHS_MAX}", "--no-pager", f"--root={root}"]
    return subprocess.run(["systemd-analyze", "security", *options, unit], capture_output=True, text=True, check=False)
