"""Framing: any splitting of any codes gives the same codes; noise and endless lines cost no memory and no code."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import OptionError
from drivers.scanners.framing import CODE_BYTES_MAX, SUFFIX_BYTES, Code, Dropped, Frame, Framer, Framing

SUFFIXES = sorted(name for name, suffix in SUFFIX_BYTES.items() if suffix)
NOISE = bytes(set(range(0x20)) - {0x1D} - set(b"".join(SUFFIX_BYTES.values())))
codes = st.lists(st.binary(min_size=1, max_size=30).map(lambda raw: bytes(0x21 + b % 0x5E for b in raw)), max_size=6)
noise = st.lists(st.sampled_from(NOISE), max_size=5).map(bytes)


def run(framing: Framing, pieces: list[bytes]) -> list[Frame]:
    framer = Framer(framing)
    return [frame for piece in pieces for frame in framer.feed(piece)]


def cut(data: bytes, points: list[int]) -> list[bytes]:
    edges = [0, *sorted(p % (len(data) + 1) for p in points), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(codes, st.sampled_from(SUFFIXES), st.lists(st.integers(0, 500), max_size=8), st.lists(noise, max_size=6))
def test_any_split_of_any_codes_with_noise_between_gives_those_codes(
    sent: list[bytes], suffix: str, points: list[int], noises: list[bytes]
) -> None:
    framing = Framing(suffix, aim_prefix=False)  # type: ignore[arg-type]
    padded = zip(sent, noises + [b""] * len(sent), strict=False)
    line = b"".join(between + code + SUFFIX_BYTES[suffix] for code, between in padded)
    assert run(framing, cut(line, points)) == [Code(code, None) for code in sent]


@given(st.binary(max_size=300), st.sampled_from(sorted(SUFFIX_BYTES)), st.lists(st.integers(0, 300), max_size=6))
def test_any_bytes_give_the_same_frames_however_they_are_cut(data: bytes, suffix: str, points: list[int]) -> None:
    framing = Framing(suffix, code_bytes_max=20)  # type: ignore[arg-type]
    assert run(framing, cut(data, points)) == run(framing, [data])


@given(st.binary(max_size=400), st.sampled_from(sorted(SUFFIX_BYTES)))
def test_memory_is_bounded_whatever_comes(data: bytes, suffix: str) -> None:
    framer = Framer(Framing(suffix, code_bytes_max=10))  # type: ignore[arg-type]
    for byte in data:
        framer.feed(bytes([byte]))
        assert framer.held_bytes <= 10 + len(SUFFIX_BYTES[suffix])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("size", "fits"), [(1, True), (CODE_BYTES_MAX, True), (CODE_BYTES_MAX + 1, False), (20_000, False)]
)
def test_the_longest_code_passes_and_a_longer_one_is_dropped_with_one_word(suffix: str, size: int, fits: bool) -> None:
    end = SUFFIX_BYTES[suffix]
    frames = run(Framing(suffix), [b"x" * size + end + b"next" + end])  # type: ignore[arg-type]
    assert frames == [Code(b"x" * size, None) if fits else Dropped("overlong"), Code(b"next", None)]


# suffix, bytes on the line, frames
CASES: list[tuple[str, bytes, list[Frame]]] = [
    ("cr", b"6901234567892\r", [Code(b"6901234567892", None)]),
    ("cr", b"]E06901234567892\r", [Code(b"6901234567892", "]E0")]),
    ("cr", b"]Q3\x1d0106901234567892\r", [Code(b"\x1d0106901234567892", "]Q3")]),
    ("cr", b"]C1\x1d\r", [Code(b"\x1d", "]C1")]),
    ("cr", b"]Q1\r", []),
    ("cr", b"]not an aim id\r", [Code(b"t an aim id", "]no")]),
    ("cr", b"a\r\nb\r\n", [Code(b"a", None), Code(b"b", None)]),
    ("lf", b"a\r\nb\r\n", [Code(b"a", None), Code(b"b", None)]),
    ("crlf", b"a\nb\rc\r\n", [Code(b"a\nb\rc", None)]),
    ("crlf", b"\r\n\r\n\r\na\r\n", [Code(b"a", None)]),
    ("etx", b"\x02a\x03\x02b\x03", [Code(b"a", None), Code(b"b", None)]),
    ("tab", b"a\tb\t", [Code(b"a", None), Code(b"b", None)]),
    ("cr", b"\x00\x00\x07\x7fa\r", [Code(b"a", None)]),
    ("cr", "合计\r".encode("gb18030"), [Code("合计".encode("gb18030"), None)]),
    ("cr", b"\xff\x80\x9f\r", [Code(b"\xff\x80\x9f", None)]),
    ("cr", b"a", []),
]


@pytest.mark.parametrize(("suffix", "line", "frames"), CASES)
def test_lines_as_scanners_send_them(suffix: str, line: bytes, frames: list[Frame]) -> None:
    assert run(Framing(suffix), [line]) == frames  # type: ignore[arg-type]
    assert run(Framing(suffix), [bytes([byte]) for byte in line]) == frames  # type: ignore[arg-type]


def test_a_pause_ends_a_code_that_has_no_suffix() -> None:
    framer = Framer(Framing("timeout"))
    assert framer.feed(b"]E0690") == ()
    assert framer.feed(b"123\r") == ()
    assert framer.pause() == (Code(b"690123", "]E0"),)
    assert framer.pause() == ()


def test_a_pause_drops_half_a_code_so_that_it_never_glues_to_the_next() -> None:
    framer = Framer(Framing("cr"))
    framer.feed(b"half")
    assert framer.pause() == (Dropped("unterminated"),)
    assert framer.feed(b"whole\r") == (Code(b"whole", None),)


def test_a_pause_ends_the_dropping_of_an_endless_line() -> None:
    framer = Framer(Framing("timeout", code_bytes_max=4))
    assert framer.feed(b"too long for this") == (Dropped("overlong"),)
    assert framer.pause() == ()
    framer.feed(b"good")
    assert framer.pause() == (Code(b"good", None),)


def test_the_aim_prefix_stays_where_the_scanner_does_not_send_one() -> None:
    assert run(Framing("cr", aim_prefix=False), [b"]Q3x\r"]) == [Code(b"]Q3x", None)]


@pytest.mark.parametrize("wrong", [{"suffix": "eot"}, {"code_bytes_max": 0}, {"code_bytes_max": 4097}, {"pause_s": -1}])
def test_settings_that_cannot_work_are_refused(wrong: dict) -> None:
    with pytest.raises(OptionError):
        Framing(**wrong)
