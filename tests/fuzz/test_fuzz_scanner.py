"""Seeded noise on a scanner's line: codes come out whole or not at all, however it is cut, in bounded memory."""

import os
import random
from typing import cast

import pytest

from agent.core.classify import classify
from drivers.scanners.framing import SUFFIX_BYTES, Code, Dropped, Frame, Framer, Framing, Suffix
from tests.core.passes import CODE

CASES = int(os.environ.get("COUNTERFOIL_FUZZ_CASES", "100000"))
SEED = int(os.environ.get("COUNTERFOIL_FUZZ_SEED", "20261122"))
SUFFIXES = [cast(Suffix, name) for name in SUFFIX_BYTES]
PIECES = (
    *(CODE.encode(), CODE[:100].encode(), b"6901234567892", b"]E06901234567892", b"]Q3", b"]", b"\x1d", b"\xff\xfe"),
    *(b"\r", b"\n", b"\r\n", b"\t", b"\x03", b"\x00", b"\x7f", b"\x1b[2J", b"", "码".encode(), b"287654321098765432"),
)
MAX_BYTES = 64

pytestmark = pytest.mark.proof


def line(rng: random.Random) -> bytes:
    """Codes, suffixes and noise in any order; now and then random bytes, or far too many of them."""
    data = b"".join(rng.choice(PIECES) for _ in range(rng.randint(0, 8)))
    match rng.randrange(20):
        case 0:
            return data + rng.randbytes(rng.randint(1, 40))
        case 1:
            return data + rng.choice((b"0", b"\x1d", b"\xff")) * (MAX_BYTES * 2) + data
    return data


def framed(framing: Framing, data: bytes, cuts: list[int]) -> tuple[Frame, ...]:
    framer = Framer(framing)
    frames: list[Frame] = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        frames += framer.feed(data[start:end])
        assert framer.held_bytes <= framing.code_bytes_max + 2
    return (*frames, *framer.pause())


def test_no_noise_on_the_line_breaks_a_scanner_and_no_cut_changes_its_codes() -> None:
    rng = random.Random(SEED)
    read = dropped = 0
    for _ in range(CASES):
        limit = rng.choice((MAX_BYTES, 512, 4096))
        framing = Framing(rng.choice(SUFFIXES), rng.random() < 0.5, limit)
        data = line(rng)
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randint(0, 4)))
        frames = framed(framing, data, cuts)
        assert frames == framed(framing, data, [])
        for frame in frames:
            if isinstance(frame, Dropped):
                dropped += 1
                continue
            read += 1
            assert 0 < len(frame.raw) <= limit
            assert frame.raw in data
            assert classify(frame.raw).kind
    assert read > CASES // 10
    assert dropped > CASES // 1000


def test_a_code_after_any_noise_and_its_suffix_is_read_whole() -> None:
    rng = random.Random(SEED + 1)
    for _ in range(CASES // 4):
        framing = Framing(rng.choice([name for name in SUFFIXES if SUFFIX_BYTES[name]]))
        suffix = SUFFIX_BYTES[framing.suffix]
        framer = Framer(framing)
        framer.feed(line(rng))
        framer.pause()
        assert framer.feed(b"6901234567892" + suffix) == (Code(b"6901234567892", None),)
