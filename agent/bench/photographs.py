"""How much is read of a folder of photographs: zxing-cpp alone, zbar alone, and the chain that a camera uses.

The one rule: a reading counts only if it is the text of `expected.json` (file → {"text": …}), and one where no code is
counts against whoever made it. The folder is the reader's own; none is part of the project.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from agent.bench.measure import Figure

CHARACTER_SETS: Final = ("utf-8", "shift_jis", "latin-1")


@dataclass(slots=True)
class Tally:
    """What one reader made of all photographs."""

    right: int = 0
    wrong: int = 0
    took_ms: list[float] = field(default_factory=list)


def photographs(folder: Path) -> Iterator[Figure]:
    """Figures of each reader; the chain's last. Raises OSError, ImportError without counterfoil[camera]."""
    tallies, with_code = counted(folder)
    alone = max(tallies[name].right for name in ("zxing-cpp", "zbar"))
    for name, tally in tallies.items():
        of = f"of {with_code}"
        ratio = tally.right / alone if name == "chain" and alone else None
        goal = "more than either alone" if name == "chain" else ""
        yield Figure(f"photographs read, {name}", tally.right, of, ratio, "the better one alone", goal)
        yield Figure(f"false reads, {name}", tally.wrong, "codes", goal="0" if name == "chain" else "")
        yield Figure(f"time for a photograph, {name}", median(tally.took_ms), "ms")


def counted(folder: Path) -> tuple[dict[str, Tally], int]:
    """Each reader's tally, and how many photographs have a code; readers take turns on each photograph."""
    import cv2

    expected: dict[str, dict[str, str]] = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    tallies = {name: Tally() for name in _readers()}
    for name, entry in expected.items():
        picture = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE)
        for reader, read in _readers().items():
            began_s = time.perf_counter()
            found = read(picture)
            tallies[reader].took_ms.append((time.perf_counter() - began_s) * 1000)
            hits = [_same(raw, entry["text"]) for raw in found]
            tallies[reader].right += any(hits)
            tallies[reader].wrong += bool(found) and not any(hits)
    return tallies, sum(bool(entry["text"]) for entry in expected.values())


def _readers() -> dict[str, Callable[[Any], list[bytes]]]:
    import zxingcpp
    from pyzbar import pyzbar

    from drivers.scanners.decoding import read

    return {
        "zxing-cpp": lambda picture: [code.bytes for code in zxingcpp.read_barcodes(picture)],
        "zbar": lambda picture: [code.data for code in pyzbar.decode(picture)],
        "chain": lambda picture: [code.raw for code in read(picture)],
    }


def _same(raw: bytes, text: str | None) -> bool:
    """Whether these are the bytes of that text in one of the character sets that photographs use."""
    plain = " ".join((text or "").split())
    return any(" ".join(raw.decode(name, "replace").split()) == plain for name in CHARACTER_SETS)
