"""All figures of the bench, in the order of a sale: the rivals, the decision and its parts, the backlog, the processes.

The one rule: a figure is shown as soon as it is known, and everything made on the way is removed at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.bench.camera import camera_shares
from agent.bench.decisions import decisions
from agent.bench.drain import drain
from agent.bench.leasing import leasing
from agent.bench.looks import looks
from agent.bench.measure import Figure, Size
from agent.bench.pages import pages
from agent.bench.parts import lookups, passes, rules
from agent.bench.postgres import postgres
from agent.bench.printing import first_byte, slip_bytes, slips
from agent.bench.processes import processes
from agent.bench.scans import scan_events, scans
from agent.bench.wire import wire_figures
from agent.demo.stage import Cast, staged


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured. Sales are two entries of the backlog each; accounts are those of the looked up layer;
    leased are those of a day's plan, listening the lanes that one look serves; watched_s is how long a camera's
    process is looked at; shown are codes that are scanned for a browser, visited its first visits."""

    commits: Size
    parts: Size
    scans: Size
    accounts: int
    sales: int
    starts: int
    leased: int
    listening: int
    uploaded: int
    watched_s: float
    shown: int
    visited: int


FULL: Final = Effort(Size(30, 12), Size(16, 16), Size(12, 10), 1_000_000, 10_000, 3, 1_000, 300, 4_000, 3.0, 100, 5)
QUICK: Final = Effort(Size(4, 5), Size(4, 5), Size(2, 5), 10_000, 1_000, 1, 200, 100, 2_000, 1.0, 5, 1)
LANES: Final = 4
CUSTOMERS: Final = 100
RICH_MINOR: Final = 100_000_000
LEASE_MINOR: Final = 10_000_000


def figures(effort: Effort) -> Iterator[Figure]:
    """Every figure, as it becomes known. Raises DemoFailed when a process does not do its part."""
    with tempfile.TemporaryDirectory(prefix="counterfoil-bench-") as name:
        folders = {part: Path(name) / part for part in ("decisions", "lookups", "scans", "paper", "lens", "books")}
        for folder in folders.values():
            folder.mkdir()
        now_s = int(time.time())
        yield from decisions(folders["decisions"], effort.commits)
        yield from passes(effort.parts, now_s)
        yield from lookups(folders["lookups"], effort.parts, now_s, effort.accounts)
        yield from rules(effort.parts, now_s)
        yield from slips(effort.parts)
        yield from slip_bytes()
        yield from asyncio.run(first_byte(folders["paper"], 3 * effort.scans.blocks))
        yield from scan_events(folders["scans"], effort.scans)
        yield from asyncio.run(scans(folders["scans"], effort.scans))
        yield from camera_shares(folders["lens"], effort.watched_s)
        yield from _with_backend(Path(name) / "stage", effort)
        yield from leasing(folders["books"], effort.leased, now_s)
        yield from looks(folders["books"], effort.parts, effort.listening, now_s)
        yield from drained(effort.uploaded, LANES, "sqlite")


def drained(entries: int, lanes: int, database: str) -> Iterator[Figure]:
    """Several lanes and a backend over ``database``: "sqlite", "postgresql" (one of its own), or the URL of an empty
    database. Raises DemoFailed when a process does not do its part."""
    with contextlib.ExitStack() as stack:
        out = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="counterfoil-drain-")))
        url = stack.enter_context(postgres()) if database == "postgresql" else database
        yield from wire_figures(out, entries, lanes, None if database == "sqlite" else url)


def _with_backend(out: Path, effort: Effort) -> Iterator[Figure]:
    cast = Cast(customers=CUSTOMERS, limit_minor=RICH_MINOR, lease_minor=LEASE_MINOR)
    with contextlib.ExitStack() as stack:
        with contextlib.redirect_stdout(sys.stderr):  # the stage talks; standard output is for figures
            stage = stack.enter_context(staged(out, cast))
        yield from pages(stage, effort.shown, effort.visited)
        stage.uplink.stop()
        stage.agent.stop()
        found = [*processes(stage, effort.starts), *asyncio.run(drain(stage, effort.sales))]
    yield from found
