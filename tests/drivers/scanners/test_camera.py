"""A camera's own process: what it sees arrives as scans; its crash, its hanging and its absence harm nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from drivers.device import DataEvent, StatusUpdateEvent
from drivers.errors import OptionError, TransportError
from drivers.registry import open_scanner
from drivers.remedies import REMEDIES
from drivers.scanners.camera import EXIT_REASONS, CameraSettings, CameraTransport, CodeLines, code_line
from drivers.scanners.camera_process import part_of
from drivers.scanners.framing import CODE_BYTES_MAX, Code, Dropped
from drivers.scanners.scanner import Scanner
from tests.core import passes
from tests.drivers.conftest import PATIENCE_S, Events

PASS = passes.CODE.encode()
Watch = Callable[[str], Scanner]


@pytest.fixture
def watch(events: Events) -> Iterator[Watch]:
    opened: list[Scanner] = []

    def start(source: str) -> Scanner:
        opened.append(open_scanner("lens", f"camera:{source}", {"cpu_percent_max": 90}, on_event=events.put))
        return opened[-1]

    yield start
    for scanner in opened:
        scanner.close()


@pytest.fixture
def album(tmp_path: Path) -> Callable[[list], str]:
    """Writes pictures as a sequence; returns what stands in for a camera."""
    cv2 = pytest.importorskip("cv2", reason="the camera extra is not installed", exc_type=ImportError)
    pytest.importorskip("pyzbar.pyzbar", reason="zbar is not installed", exc_type=ImportError)

    def write(pictures: list) -> str:
        for number, picture in enumerate(pictures):
            cv2.imwrite(f"{tmp_path}/{number:03d}.png", picture)
        return f"{tmp_path}/%03d.png"

    return write


@pytest.fixture
def phone_in_view(album: Callable[[list], str]) -> str:
    """A picture of a phone that shows a pass, and stays."""
    from tests.drivers.scanners.photographs import Shot, photograph, qr

    return album([photograph(qr(passes.CODE), Shot(angle_deg=12, tilt=0.1))]).replace("%03d", "000")


def states(events: Events) -> list[tuple[str, str]]:
    return [(e.state.name, e.state.reason) for e in events.drain() if isinstance(e, StatusUpdateEvent)]


def failure(scanner: Scanner, events: Events) -> str:
    events.until(lambda _: scanner.state.name == "failed")
    return scanner.state.reason


def worker(scanner: Scanner) -> int:
    transport = scanner._transport
    assert isinstance(transport, CameraTransport)
    assert transport.pid is not None
    return transport.pid


def test_a_pass_before_the_camera_is_one_scan_byte_for_byte(phone_in_view: str, watch: Watch, events: Events) -> None:
    before_s = time.monotonic()
    scanner = watch(phone_in_view)
    assert events.codes(1) == [(PASS, "]Q1")]
    (event,) = (e for e in events.seen if isinstance(e, DataEvent))
    assert event.scan.device == "lens"
    assert before_s < event.scan.monotonic_s <= time.monotonic()
    assert scanner.state.name == "enabled"
    time.sleep(0.5)
    assert len(events.codes(1)) == 1, "still in view: no second scan"


def test_line_codes_count_from_the_second_picture_that_shows_them(
    album: Callable[[list], str], watch: Watch, events: Events
) -> None:
    from tests.drivers.scanners.test_decoding import linear

    once, twice, end = (linear(text, "EAN13") for text in ("4006381333931", "6901234567892", "9780201379624"))
    watch(album([once, twice, twice, end, end]))
    assert events.codes(2) == [(b"6901234567892", "]E0"), (b"9780201379624", "]E0")]


def test_a_video_stands_in_for_a_camera(
    album: Callable[[list], str], tmp_path: Path, watch: Watch, events: Events
) -> None:
    album([])
    import cv2

    from tests.drivers.scanners.photographs import Shot, photograph, qr

    video = cv2.VideoWriter(f"{tmp_path}/day.avi", cv2.VideoWriter.fourcc(*"MJPG"), 10, (1280, 720), isColor=False)
    for angle in (0, 5):
        video.write(photograph(qr("from a film"), Shot(angle_deg=angle)))
    video.release()
    watch(f"{tmp_path}/day.avi")
    assert events.codes(1) == [(b"from a film", "]Q1")]


def test_a_sequence_may_grow_while_it_is_watched(
    album: Callable[[list], str], tmp_path: Path, watch: Watch, events: Events
) -> None:
    from tests.drivers.scanners.photographs import Shot, photograph, qr

    scanner = watch(album([]))
    events.until(lambda _: scanner.state.name == "enabled")
    album([photograph(qr("first"), Shot()), photograph(qr("second"), Shot(angle_deg=9))])
    assert events.codes(2) == [(b"first", "]Q1"), (b"second", "]Q1")]


def test_a_crashed_process_is_replaced_and_says_so_once(phone_in_view: str, watch: Watch, events: Events) -> None:
    scanner = watch(phone_in_view)
    events.codes(1)
    os.kill(worker(scanner), signal.SIGABRT)  # as zbar's assertions do
    events.until(lambda _: ("enabled", "") in states(events))
    assert states(events) == [("failed", "camera_crashed"), ("enabled", "")]
    assert events.codes(2) == [(PASS, "]Q1")] * 2
    assert scanner.statistics.snapshot()["reconnect_count"] == 1


def test_a_process_that_hangs_is_ended_and_replaced(
    phone_in_view: str, watch: Watch, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanner = watch(phone_in_view)
    events.codes(1)
    stuck = worker(scanner)
    with monkeypatch.context() as hurry:
        hurry.setattr("drivers.scanners.camera.SILENCE_S", 2.0)
        hurry.setattr("drivers.scanners.camera._STOP_S", 0.1)
        os.kill(stuck, signal.SIGSTOP)
        events.until(lambda _: ("failed", "camera_no_picture") in states(events))
    events.until(lambda _: ("enabled", "") in states(events))
    with pytest.raises(ProcessLookupError):
        os.kill(stuck, 0)


def test_closing_leaves_no_process(phone_in_view: str, watch: Watch, events: Events) -> None:
    scanner = watch(phone_in_view)
    events.codes(1)
    pid = worker(scanner)
    scanner.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_process_ends_with_its_parent(phone_in_view: str) -> None:
    parent = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import sys; from drivers.scanners.camera import *; t = CameraTransport(sys.argv[1], CameraSettings());"
            "t.open(10); print(t.pid, flush=True); sys.stdin.read()",
            phone_in_view,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    deadline_s = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("source", "reason"), [("/dev/video97", "unreachable"), ("97", "unreachable"), ("/nowhere/%03d.png", "unreachable")]
)
def test_a_camera_that_is_not_there_says_so(source: str, reason: str, watch: Watch, events: Events) -> None:
    assert failure(watch(source), events) == reason


def test_a_camera_that_comes_later_is_used_without_a_restart(
    album: Callable[[list], str], tmp_path: Path, watch: Watch, events: Events
) -> None:
    from tests.drivers.scanners.photographs import Shot, photograph, qr

    assert failure(watch(f"{tmp_path}/000.png"), events) == "unreachable"
    album([photograph(qr("late"), Shot())])
    assert events.codes(1) == [(b"late", "]Q1")]


def test_a_file_that_holds_no_picture_is_a_camera_without_picture(tmp_path: Path, album: object) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    transport = CameraTransport(f"{tmp_path}/empty.png", CameraSettings())
    with pytest.raises(TransportError) as raised:
        transport.open(PATIENCE_S)
    assert raised.value.reason == "camera_no_picture"
    transport.close()


@pytest.mark.parametrize("library", ["cv2", "pyzbar"])
def test_without_the_camera_extra_the_device_fails_with_what_to_install(
    library: str, tmp_path: Path, watch: Watch, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / f"{library}.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "absent"), prepend=os.pathsep)
    (tmp_path / "any.png").touch()
    scanner = watch(f"{tmp_path}/any.png")
    assert failure(scanner, events) == "camera_missing"
    assert "counterfoil[camera]" in scanner.check_health().text
    assert "counterfoil[camera]" in REMEDIES["camera_missing"].zh


def test_the_agents_own_process_never_loads_the_camera_libraries() -> None:
    loaded = "import sys, drivers.registry; print(sorted({'cv2', 'pyzbar', 'numpy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("code", [Code(PASS, "]Q1"), Code(bytes(range(256)) * 16, "]d2"), Code(b"\n \r", None)])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_any_bytes_cross_from_the_process_in_pieces_of_any_size(code: Code, size: int) -> None:
    line, lines = b"\n" + code_line(code) + b"\n\n" + code_line(code), CodeLines()
    pieces = [line[start : start + size] for start in range(0, len(line), size)]
    assert [frame for piece in pieces for frame in lines.feed(piece)] == [code, code]


@pytest.mark.parametrize("junk", [b"]Q1 xyz\n", b"\xff\xff\n", b"]Q1 4\n", b"a" * 50_000 + b"\n"])
def test_junk_on_the_line_is_dropped_and_costs_no_memory(junk: bytes) -> None:
    lines = CodeLines()
    assert lines.feed(junk) == (Dropped("overlong"),)
    lines.feed(b"a" * 50_000)
    lines.feed(b"a" * 50_000)
    assert len(lines._held) <= 2 * CODE_BYTES_MAX + 10
    assert lines.feed(b"\n" + code_line(Code(b"fine", None)))[-1] == Code(b"fine", None)


def test_every_exit_code_has_a_remedy() -> None:
    assert {*EXIT_REASONS.values(), "camera_crashed"} <= set(REMEDIES)


@pytest.mark.parametrize("options", [{"cpu_percent_max": 0}, {"cpu_percent_max": 101}, {"suffix": "cr"}])
def test_options_that_no_camera_has_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        open_scanner("lens", "camera:0", options, on_event=print)


@pytest.mark.parametrize("region", ["", "1,2,3", "0,0,0,100", "60,0,50,100", "a,b,c,d", "0,0,100,101"])
def test_a_region_outside_of_the_picture_is_refused(region: str) -> None:
    with pytest.raises(OptionError, match="per cent"):
        CameraSettings(region=region)


def test_only_the_region_is_looked_at() -> None:
    picture = np.arange(200 * 100, dtype=np.uint32).reshape(100, 200)
    assert (part_of(picture, "0,0,100,100") == picture).all()
    part = part_of(picture, "25,50,50,25")
    assert part.shape == (25, 100)
    assert part[0, 0] == picture[50, 50]


def test_what_lies_outside_of_the_region_is_not_read(album: Callable[[list], str], events: Events) -> None:
    """A slip that lies beside the place for codes pays for nothing."""
    from tests.drivers.scanners.photographs import Shot, photograph, qr

    halves = [photograph(qr(text), Shot(side_px=300))[:, 240:-240] for text in ("left of it", "right of it")]
    source = album([np.hstack(halves)]).replace("%03d", "000")
    options = {"cpu_percent_max": 90, "region": "50,0,50,100"}
    scanner = open_scanner("lens", f"camera:{source}", options, on_event=events.put)
    assert events.codes(1) == [(b"right of it", "]Q1")]
    time.sleep(0.5)
    assert len(events.codes(1)) == 1
    scanner.close()
