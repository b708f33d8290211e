"""What a camera shows becomes scans: one for each time a code is shown, none for a misreading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.scanners.framing import Code
from drivers.scanners.sightings import AWAY_S, Sightings

EAN, OTHER, QR, MATRIX = Code(b"690", "]E0"), Code(b"691", "]E0"), Code(b"pass", "]Q1"), Code(b"m", "]d2")

# seconds and codes of each picture → the scans that come of them
CASES: list[tuple[str, list[tuple[float, list[Code]]], list[Code]]] = [
    ("a QR code counts at once", [(0, [QR])], [QR]),
    ("a Data Matrix counts at once", [(0, [MATRIX])], [MATRIX]),
    ("a line code needs a second reading", [(0, [EAN])], []),
    ("two equal readings are one scan", [(0, [EAN]), (0.1, [EAN]), (0.2, [EAN])], [EAN]),
    ("pictures without a reading between do not matter", [(0, [EAN]), (0.1, []), (0.5, [EAN])], [EAN]),
    ("another reading between does", [(0, [EAN]), (0.1, [OTHER]), (0.2, [EAN])], []),
    ("after which two equal ones count", [(0, [EAN]), (0.1, [OTHER]), (0.2, [EAN]), (0.3, [EAN])], [EAN]),
    ("an old reading confirms nothing", [(0, [EAN]), (5, [EAN])], []),
    ("a code in view is one scan, however long", [(t / 2, [QR]) for t in range(60)], [QR]),
    ("a short look away changes nothing", [(0, [QR]), (2.9, [QR]), (5.8, [QR])], [QR]),
    ("a code that comes back is a new scan", [(0, [QR]), (AWAY_S + 0.1, [QR])], [QR, QR]),
    ("two codes in view are two scans", [(0, [QR, EAN]), (0.1, [EAN, QR])], [QR, EAN]),
    ("an unknown symbology is treated as a line code", [(0, [Code(b"x", None)])], []),
]  # fmt: skip


@pytest.mark.parametrize(("pictures", "scans"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_when_a_code_in_view_is_a_scan(pictures: list[tuple[float, list[Code]]], scans: list[Code]) -> None:
    sightings = Sightings()
    assert [code for at_s, codes in pictures for code in sightings.seen(codes, at_s)] == scans


@given(st.lists(st.tuples(st.floats(0.01, 2), st.sampled_from([EAN, OTHER, QR])), max_size=40))
def test_the_same_code_is_never_scanned_twice_within_the_time_that_makes_it_away(steps: list) -> None:
    sightings, now_s, last_s = Sightings(), 0.0, {}
    for step_s, code in steps:
        now_s += step_s
        for scan in sightings.seen([code], now_s):
            assert now_s - last_s.get(scan, -AWAY_S) >= AWAY_S
            last_s[scan] = now_s


def test_a_code_in_a_scene_where_nothing_moves_is_not_away_though_it_is_hard_to_read() -> None:
    sightings = Sightings()
    assert sightings.seen([QR], 0) == (QR,)
    for tick in range(20):
        sightings.nothing_moved(tick / 2)
    assert sightings.seen([QR], 10) == ()
    sightings.nothing_moved(10 + AWAY_S)
    assert sightings.seen([QR], 10 + AWAY_S) == (QR,), "nothing moved, but it had not been seen before that"
