"""A code comes back byte for byte however it is photographed, or not at all; nothing is read where nothing is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("cv2", reason="the camera extra is not installed", exc_type=ImportError)
pytest.importorskip("pyzbar.pyzbar", reason="the camera extra is not installed", exc_type=ImportError)

import cv2
import numpy as np
import zxingcpp

from agent.bench.photographs import counted, photographs
from drivers.scanners import decoding
from drivers.scanners.decoding import FALLBACKS, LiveReader, read, read_quickly, read_with_zbar
from drivers.scanners.framing import Code
from tests.core import passes
from tests.drivers.scanners.photographs import PAPER, SHOTS, Shot, empty_counter, photograph, qr

PASS = passes.CODE
PICTURES = Path(os.environ.get("COUNTERFOIL_BARCODE_PHOTOGRAPHS") or "photographs-not-given")
"""A folder of photographs with an expected.json: file → {text, format}."""


def linear(text: str, format: str, module_px: int = 3) -> np.ndarray:
    drawn = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat[format])
    symbol = np.array(drawn.to_image(scale=module_px, add_quiet_zones=True))
    return np.pad(symbol, ((20, 20), (40, 40)), constant_values=255)


@pytest.mark.parametrize("shot", SHOTS.values(), ids=SHOTS)
def test_a_credit_pass_on_a_phone_is_read_byte_for_byte(shot: Shot) -> None:
    assert read(photograph(qr(PASS), shot)) == (Code(PASS.encode(), "]Q1"),)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_read_where_no_code_is(seed: int) -> None:
    static = np.random.default_rng(seed).integers(0, 256, (240, 320), np.uint8)
    for frame in (empty_counter(seed), static):
        assert [reader(frame) for reader in (read_quickly, *FALLBACKS)] == [(), (), ()]


@pytest.mark.parametrize("reader", [read_quickly, read_with_zbar, read])
@pytest.mark.parametrize(
    ("text", "format", "code"),
    [
        ("6901234567892", "EAN13", Code(b"6901234567892", "]E0")),
        ("036000291452", "UPCA", Code(b"0036000291452", "]E0")),  # one article number, whatever it was printed as
        ("01234565", "UPCE", Code(b"0012345000065", "]E0")),
        ("96385074", "EAN8", Code(b"96385074", "]E4")),
        ("ABC-123", "Code128", Code(b"ABC-123", "]C0")),
    ],
)
def test_line_codes_carry_the_aim_id_that_a_hand_scanner_sends(
    reader: Callable, text: str, format: str, code: Code
) -> None:
    assert reader(linear(text, format)) == (code,)


@pytest.mark.parametrize("text", ["合计 12.00", "ｶﾅ", "¥~\\", "naïve", "a\x1db"])
def test_text_in_any_script_comes_back_as_its_bytes_and_never_converted(text: str) -> None:
    picture = photograph(qr(text), Shot())
    (code,) = read_quickly(picture)
    drawn = {text.encode(encoding, "replace") for encoding in ("utf-8", "latin-1", "shift_jis")}
    assert code.raw in drawn
    assert {c.raw for c in read_with_zbar(picture)} <= {code.raw}, "zbar converts character sets: it must stay silent"


def test_two_codes_in_one_picture_are_two_codes() -> None:
    side_by_side = np.hstack(
        [qr("left"), np.full((qr("left").shape[0], 60), PAPER, np.uint8), qr("right one")[: qr("left").shape[0]]]
    )
    assert {code.raw for code in read(side_by_side)} == {b"left", b"right one"}


def test_a_still_scene_is_looked_at_once_a_second_and_a_change_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    monkeypatch.setattr(decoding, "read_quickly", lambda picture, *, thorough: looks.append("look") or ())
    monkeypatch.setattr(decoding, "FALLBACKS", (lambda picture: (),))
    reader, table = LiveReader(), np.full((480, 640), 140, np.uint8)
    for tick in range(100):
        reader.read(table, tick / 10)
    assert reader.at_rest
    assert 15 <= len(looks) <= 22, "ten looks in the first second, then one a second"
    looks.clear()
    reader.read(photograph(qr(PASS), Shot())[:480, :640], 10.01)
    assert (looks, reader.at_rest) == (["look"], False)


@pytest.mark.parametrize("shot", [Shot(side_px=240), Shot(side_px=240, contrast=0.25), Shot(busy=True, side_px=240)])
def test_a_small_code_that_comes_or_goes_ends_the_rest_and_noise_does_not(shot: Shot) -> None:
    reader, blank = LiveReader(), np.full((40, 40), 140, np.uint8)
    for seed, at_s in enumerate((0, 0.6, 1.2, 1.8)):  # a busy counter is drawn from its seed, so it keeps one
        reader.read(photograph(blank, replace(shot, noise=6), seed=1 + seed * (not shot.busy)), at_s)
    assert reader.at_rest
    shown = photograph(qr("CFS1:lane-01:1"), shot)
    assert reader.read(shown, 2.0) == (Code(b"CFS1:lane-01:1", "]Q1"),)
    reader.read(shown, 3.5)
    assert reader.at_rest
    reader.read(photograph(blank, shot), 3.6)
    assert not reader.at_rest


@pytest.mark.parametrize(
    "frame",
    [photograph(qr(PASS), Shot(inverted=True)), np.rot90(photograph(linear("6901234567892", "EAN13"), Shot()))],
    ids=["white on black", "a line code on end"],
)
def test_what_only_a_thorough_look_reads_is_read_within_two(frame: np.ndarray) -> None:
    frame = np.ascontiguousarray(frame)
    assert not read_quickly(frame, thorough=False) and read_quickly(frame)
    for looks_before in range(2):
        reader = LiveReader()
        for tick in range(looks_before):
            reader.read(np.full_like(frame, 140), tick / 10)
        assert any(reader.read(frame, 0.5 + tick / 10) for tick in range(2))


def test_what_the_quick_reader_misses_a_slower_one_finds_within_a_few_pictures() -> None:
    hard = next(
        frame
        for blur in np.arange(1.0, 4.0, 0.25)
        if not read_quickly(
            frame := photograph(linear("6901234567892", "EAN13"), Shot(side_px=330, blur_px=float(blur)))
        )
        and read(frame)
    )
    reader = LiveReader()
    assert any(reader.read(hard, tick / 10) for tick in range(7))


@pytest.mark.skipif(not PICTURES.is_dir(), reason="COUNTERFOIL_BARCODE_PHOTOGRAPHS names no folder of photographs")
def test_the_chain_reads_more_than_each_reader_alone_and_nothing_that_is_not_there() -> None:
    tallies, _ = counted(PICTURES)
    for figure in photographs(PICTURES):
        print(figure.to_text())
    assert tallies["chain"].right > max(tallies["zxing-cpp"].right, tallies["zbar"].right)
    assert tallies["chain"].wrong == 0
    one_code = cv2.imread(str(PICTURES / "ean13/ean13-1_5.png"), cv2.IMREAD_GRAYSCALE)
    codes = [code.raw for code in read(one_code)]
    assert codes == [b"8410054010412"], "a few rows of it read as another number with a fitting check digit"
