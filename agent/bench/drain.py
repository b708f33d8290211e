"""A backlog brought to the backend by the real upload path, and decisions taken meanwhile.

This process plays ``counterfoil run`` (its lane, ledger and channel); ``counterfoil uplink`` and the backend are
processes of their own, with TLS between them. The one rule: what is drained is real entries of a real chain.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from itertools import count, cycle
from pathlib import Path
from typing import Final

import apsw

from agent import app
from agent.bench.measure import NS_PER_US, Figure, percentile
from agent.bench.processes import Process
from agent.bench.props import NoBackend
from agent.config import Config, load
from agent.core.journal import Draft, Entry, Kind
from agent.core.money import Money
from agent.demo.stage import Stage
from agent.lane import Lane
from agent.lane_desk import LaneDesk
from agent.machine import MachineClock
from agent.services.checkout import Order
from agent.services.forwarding import SignedUpload
from agent.store.ledger import SqliteLedger
from agent.store.snapshot_files import SnapshotFiles
from agent.uplink.identity import load_identity, load_journal_key
from agent.uplink.lane_side import UPLOAD_BYTES_MAX
from agent.uplink.remote import RemoteBackend
from agent.uplink.unix_channel import serve_unix
from backend import audit
from backend.compose import compose
from backend.database import inserting, open_database
from backend.identity import Authority
from backend.ingest import Upload
from backend.schema import JournalEntry
from backend.snapshots import Plan

UNIT: Final = "entries/s"
BATCH_ENTRIES: Final = 500
SALES_A_RECORD: Final = 50
DECISION_EVERY_S: Final = 0.01
IDLE_DECISIONS: Final = 300
UPKEEP_DECISIONS: Final = 50
DRAIN_SHARE_MIN: Final = 0.6
INGEST_SHARE_MIN: Final = 0.5
P99_GROWTH_MAX: Final = 2.0
DRAINED_S: Final = 120.0


@dataclass(slots=True)
class Shop:
    """The lane of the stage inside this process, with one real sale to copy."""

    config: Config
    lane: Lane
    ledger: SqliteLedger
    pattern: list[Entry]
    accounts: Iterator[bytes]
    numbers: Iterator[int]

    def fill(self, sales: int) -> None:
        """Stand-in sales, each an authorization and its capture, many in a transaction."""
        for done in range(0, sales, SALES_A_RECORD):
            drafts = [draft for _ in range(min(SALES_A_RECORD, sales - done)) for draft in self._sale()]
            self.ledger.record(drafts, self.lane.clock.read(self.pattern[0].lender or ""))
            self.ledger.maintain({})

    def decide(self) -> None:
        """The durable part of one decision."""
        self.ledger.record(self._sale(), self.lane.clock.read(self.pattern[0].lender or ""))

    def _sale(self) -> list[Draft]:
        sale_id = f"drain-{next(self.numbers):08}"
        drafts = [Draft(entry.kind, entry.body, entry.lender, sale_id, 1) for entry in self.pattern]
        own = {"account": next(self.accounts), "cti": os.urandom(8)}
        drafts[0] = replace(drafts[0], body=dict(drafts[0].body) | own)
        return drafts


async def drain(stage: Stage, sales: int) -> list[Figure]:
    """``stage`` has accounts with leases enough; its agent and uplink have been stopped."""
    stage.backend.stop()
    copies = [stage.out / name for name in ("alone", "bare")]
    for copy in copies:
        shutil.copytree(stage.backend_dir, copy, ignore=shutil.ignore_patterns("*.sock"))
    stage.backend.start()
    shop = await _open(stage)
    shop.fill(sales)
    bare, (stored, posted) = _bare_per_s(copies[1], shop), _ingest_per_s(copies[0], shop)
    idle_us = await _decisions_us(shop, IDLE_DECISIONS)
    async with _uplink(stage, shop):
        busy_us = await _decisions_us(shop, None)
        shop.fill(sales)
        drained = await _drained_per_s(shop)
    shop.ledger.close()
    return [*_backend_figures(bare, stored, posted), *_figures(bare, posted, drained, idle_us, busy_us)]


def _backend_figures(bare: float, stored: float, posted: float) -> Iterator[Figure]:
    yield Figure("bare batched inserts, backend's table", bare, UNIT)
    yield Figure(
        "backend stores uploads", stored, UNIT, stored / bare, "bare inserts", f">= {INGEST_SHARE_MIN}",
        "chain and signature checked; this is what is acknowledged",
    )  # fmt: skip
    yield Figure(
        "backend stores and posts", posted, UNIT, posted / bare, "bare inserts", "",
        "Python: an entry is decoded, checked, posted to hold, lease and account",
    )  # fmt: skip


def _figures(
    bare: float, posted: float, drained: float, idle_us: list[float], busy_us: list[float]
) -> Iterator[Figure]:
    yield Figure(
        "drain, uplink to backend over TLS",
        drained,
        UNIT,
        drained / posted,
        "stores and posts",
        f">= {DRAIN_SHARE_MIN}",
    )
    yield Figure("drain against bare inserts", drained, UNIT, drained / bare, "bare inserts")
    idle, busy = percentile(idle_us, 0.99), percentile(busy_us, 0.99)
    yield Figure("decision p99, idle", idle, "us")
    yield Figure(
        "decision p99, draining", busy, "us", busy / idle, "p99 idle", f"<= {P99_GROWTH_MAX}",
        "three processes on the machine's cores",
    )  # fmt: skip


async def _open(stage: Stage) -> Shop:
    config = load(stage.config)
    enrolled = load_identity(config.lane.identity_dir)
    ledger = SqliteLedger.open(str(config.lane.ledger_file))
    lane = Lane(
        app.lane_settings(config, enrolled),
        app.enrolled_lenders(enrolled),
        load_journal_key(config.lane.identity_dir),
        ledger=ledger,
        snapshots=SnapshotFiles(config.lane.snapshots_dir),
        backend=NoBackend(),
        printer=None,
        clock=MachineClock(),
        random_bytes=os.urandom,
        free_bytes=lambda: 10**12,
    )
    hold = await lane.checkout.sell(Order("sale-first", Money(1, config.lane.currency), "5411"), stage.phone.code())
    assert hold.is_approved, hold.reason
    pattern = [sealed.entry for sealed in ledger.sale_entries("sale-first")]
    assert [entry.kind for entry in pattern] == [Kind.AUTHORIZATION, Kind.CAPTURE]
    accounts = cycle([bytes.fromhex(account) for account in stage.accounts])
    return Shop(config, lane, ledger, pattern, accounts, count(1))


@contextlib.asynccontextmanager
async def _uplink(stage: Stage, shop: Shop) -> AsyncIterator[None]:
    """The channel's server here, the uplink as a process."""
    remote = RemoteBackend(LaneDesk(shop.lane))
    server = await serve_unix(shop.config.lane.uplink_socket, remote.handlers, remote.attach)
    process = Process("uplink", stage.config, stage.out / "uplink.log")
    process.start()
    try:
        yield
    finally:
        await asyncio.to_thread(process.stop)
        server.close()


async def _drained_per_s(shop: Shop) -> float:
    """From the first acknowledgement to the last: the start of the process is measured elsewhere."""
    depth = shop.lane.forwarding.depth
    while shop.lane.forwarding.depth == depth:  # noqa: ASYNC110 - the lane tells nobody in this process
        await asyncio.sleep(0.001)
    began, left = time.perf_counter(), shop.lane.forwarding.depth
    async with asyncio.timeout(DRAINED_S):
        while shop.lane.forwarding.depth:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    return left / (time.perf_counter() - began)


async def _decisions_us(shop: Shop, times: int | None) -> list[float]:
    """Decisions at their due times, so that waiting for the loop counts; None: as long as there is a backlog."""
    taken: list[float] = []
    while len(taken) < times if times else shop.lane.forwarding.depth > BATCH_ENTRIES:
        due_ns = time.perf_counter_ns() + int(DECISION_EVERY_S * 1e9)
        await asyncio.sleep(DECISION_EVERY_S)
        shop.decide()
        taken.append((time.perf_counter_ns() - due_ns) / NS_PER_US)
        if len(taken) % UPKEEP_DECISIONS == 0:
            shop.ledger.maintain({})
    return taken


def _batches(shop: Shop) -> Iterator[SignedUpload]:
    """The backlog as it would leave, without the cursor being moved for good."""
    epoch, forwarding = shop.ledger.head.epoch, shop.lane.forwarding
    kept = shop.ledger.cursor(epoch)
    while batch := forwarding.next_upload(BATCH_ENTRIES, UPLOAD_BYTES_MAX):
        yield batch
        forwarding.acknowledged(epoch, batch.first + len(batch.entries) - 1, ())
    shop.ledger.move_cursor(epoch, kept)


def _ingest_per_s(directory: Path, shop: Shop) -> tuple[float, float]:
    """Entries a second that are stored, and that are stored and have taken effect."""
    database = open_database(str(directory / "backend.db"))
    backend = compose(
        database,
        clock=lambda: int(time.time()),
        randomness=os.urandom,
        authority=Authority.create(int(time.time())),
        plan=Plan(0),
    )
    stored_s, entries = 0.0, 0
    for batch in _batches(shop):
        upload = Upload(shop.lane.settings.lane, batch.epoch, batch.first, list(batch.entries), batch.signature)
        began = time.perf_counter()
        assert b"accepted" in backend.ingest(upload)
        stored_s += time.perf_counter() - began
        entries += len(batch.entries)
    began = time.perf_counter()
    while backend.post_pending(BATCH_ENTRIES):
        pass
    posted_s = time.perf_counter() - began
    assert not list(audit.account_findings(backend.lenders))
    database.close()
    return entries / stored_s, entries / (stored_s + posted_s)


def _bare_per_s(directory: Path, shop: Shop) -> float:
    """The same rows, 500 in a transaction, into the same table of the same file with the same durability."""
    books = open_database(str(directory / "backend.db"))
    insert = inserting(JournalEntry).text(books)
    books.close()
    database = apsw.Connection(str(directory / "backend.db"))
    for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    names = JournalEntry._meta.sorted_field_names
    spent_s, entries = 0.0, 0
    for batch in _batches(shop):
        common = {"lane": shop.lane.settings.lane, "epoch": batch.epoch}
        rows = [
            tuple((common | {"number": number, "data": data}).get(name) for name in names)
            for number, data in enumerate(batch.entries, batch.first)
        ]
        began = time.perf_counter()
        with database:
            database.executemany(insert, rows)
        spent_s += time.perf_counter() - began
        entries += len(rows)
    database.close()
    return entries / spent_s
