"""What scanners have sent is read by today's program as it was then, and no recording holds anybody's pass."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from drivers.errors import RecordingError
from drivers.hardware_table import table
from drivers.recording import Kind, load, masked, replay
from drivers.scanners.article import article_in
from drivers.scanners.wedge import EV_KEY, INPUT_EVENT
from tests.drivers.machines import HIDPOS_DESCRIPTOR
from tests.drivers.scanners.test_hidpos import reports_of
from tests.drivers.scanners.typing_scanner import keys_for

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests/recordings").glob("*.json"))
SECRET = "hQVDUFYwMQabcDEF0123456789"
MASKED = re.compile(rb"[xX0]*([^0-9A-Za-z][xX0]*)*")
"""A typed letter keeps its Shift."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_recording_is_read_as_it_was_when_it_was_made(file: Path) -> None:
    recording = load(file)
    assert recording.told
    assert replay(recording) == recording.told


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_code_of_a_recording_is_an_article_or_masked(file: Path) -> None:
    for symbology, raw in (told for told in load(file).told if len(told) == 2):
        code = bytes.fromhex(str(raw))
        assert article_in(code, symbology) or MASKED.fullmatch(code), code


SENT: list[tuple[Kind, bytes, dict[str, object], bytes]] = [
    ("serial", b"]Q1" + SECRET.encode() + b"\r", {}, b""),
    ("serial", SECRET.encode(), {}, b""),  # broken off
    ("serial", b"4006381333931\r" + SECRET.encode() + b"\r", {}, b""),  # an article beside it changes nothing
    ("keyboard", keys_for(SECRET + "\r"), {"layout": "us"}, b""),
    ("keyboard", keys_for(SECRET + "\r", "fr"), {"layout": "fr"}, b""),
    ("hidpos", reports_of(SECRET.encode() * 4), {}, HIDPOS_DESCRIPTOR),
]


@pytest.mark.parametrize(("kind", "data", "options", "descriptor"), SENT)
def test_masking_keeps_the_length_and_nothing_of_the_content(
    kind: Kind, data: bytes, options: dict[str, object], descriptor: bytes
) -> None:
    first, second = data[: len(data) // 2], data[len(data) // 2 :]
    pieces = masked([(0, first), (5, second)], kind, options, descriptor)
    assert [len(piece.data) // 2 for piece in pieces] == [len(first), len(second)]
    kept = bytes.fromhex("".join(piece.data for piece in pieces))
    if kind == "keyboard":
        typed = {code for _s, _us, event, code, _ in INPUT_EVENT.iter_unpack(kept) if event == EV_KEY}
        assert typed <= {45, 11, 42, 28}, "X, 0, Shift and Enter"
    else:
        assert not any(SECRET[at : at + 3].encode() in kept for at in range(len(SECRET) - 3))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 99}', json.dumps({"pieces": [{"x": 1}]})])
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "no.json"
    file.write_text(text)
    with pytest.raises(RecordingError):
        load(file)


def test_the_table_of_supported_scanners_is_that_of_the_recordings() -> None:
    page = (ROOT / "docs/hardware.md").read_text(encoding="utf-8")
    assert page == table(map(load, FILES)), "python -m drivers.hardware_table tests/recordings > docs/hardware.md"
