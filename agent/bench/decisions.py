"""What a decision costs, beside a bare commit: its durable record, the flushes in it, its judgement, and the whole.

The one rule: a decision counts from the code to the durable outcome, as ``Checkout.sell`` does it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, cycle
from pathlib import Path
from typing import Final

from agent.bench.bare import BareCommit
from agent.bench.flushes import SHOP_FLUSH_S, FlushCounter, ShopDisk
from agent.bench.measure import Figure, Size, Timing, compare
from agent.bench.parts import two_checks
from agent.bench.props import CUSTOMERS, LENDER, RULES_COUNT, Till
from agent.core.decision import decide
from agent.core.journal import Draft
from agent.core.situation import Sale
from agent.services.circumstances import Circumstances
from agent.services.reading import Reader
from agent.services.stakes import Stakes

THINKING_MAX_US: Final = 300
JUDGEMENT_MAX_US: Final = 500
RATIO_MAX: Final = 1.3
SHOP_RUNS: Final = 10


class Recorder:
    """Records what a stand-in approval records, authorization, capture and slip, as a real sale has left them."""

    def __init__(self, till: Till, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(till.sell(till.code()))
        (job,) = till.ledger.print_jobs()
        self._ledger, self._slip, self._numbers = till.ledger, job.slip, count(1)
        self._entries = [sealed.entry for sealed in till.ledger.sale_entries(job.slip.sale_id or "")]
        self._reading = till.lane.clock.read(LENDER)

    def record(self) -> None:
        sale_id = f"record-{next(self._numbers):08}"
        drafts = [Draft(entry.kind, entry.body, LENDER, sale_id, 1) for entry in self._entries]
        drafts[0] = replace(drafts[0], body=dict(drafts[0].body) | {"cti": sale_id.encode()})
        self._ledger.record(drafts, self._reading, slip=replace(self._slip, sale_id=sale_id))


def judgement(till: Till) -> Callable[[], None]:
    """A lane's own decision between pass and record: layers, lease and ledger are read, and every rule is asked."""
    lane, ledger = till.lane, till.ledger
    stakes, circumstances = Stakes(lane.settings.lane, ledger), Circumstances(ledger, lane.settings.timezone)
    reader = Reader(ledger, lane.lenders, lane.clock)
    orders = [(till.order(), till.code()) for _ in range(CUSTOMERS)]
    sales = [(Sale(order.sale_id, order.amount, order.merchant_category), code) for order, code in orders]
    cases = cycle([reader.open_case(sale, "at_once", reader.look(code)) for sale, code in sales])

    def judge() -> None:
        case = next(cases).with_newest_layers()
        lease = stakes.lease_view(case, reserved_minor=0)
        decision = decide(circumstances.of(case, lease, lane.clock.read(LENDER)), case.lender.policy)
        assert decision.approved, decision.reason

    return judge


def decisions(directory: Path, size: Size) -> list[Figure]:
    """Every figure of a decision. Each whole one is a task of an event loop, as in the daemon."""
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        return [
            *_decisions(directory, size, loop),
            *_on_a_shops_disk(directory, Size(size.blocks, min(size.runs, SHOP_RUNS)), loop),
            *flushes(directory, size.runs, loop),
        ]


def _decisions(directory: Path, size: Size, loop: asyncio.AbstractEventLoop) -> Iterator[Figure]:
    till, bare = Till(directory), BareCommit(directory / "bare.db")
    recorder, judge = Recorder(till, loop), judgement(till)
    codes: list[str] = []

    def between() -> None:
        till.maintain()
        bare.recycle()
        codes[:] = [till.code() for _ in range(size.runs)]

    def sell() -> None:
        loop.run_until_complete(till.sell(codes.pop()))

    timings = compare(size, bare.commit, recorder.record, sell, two_checks("ed25519"), judge, between=between)
    till.close()
    bare.close()
    yield from _figures(*timings)


def _figures(bare: Timing, record: Timing, whole: Timing, checks: Timing, judged: Timing) -> Iterator[Figure]:
    yield Figure("bare one-row commit", bare.median_us, "us", limit="one flush of this disk")
    yield Figure(
        "durable decision: record",
        record.median_us,
        "us",
        record.ratio,
        "bare commit",
        f"<= {RATIO_MAX}",
        "two entries and a slip are 20 statements, 13 pages and Python; a flush above 2 ms hides them",
    )
    yield Figure(
        "durable decision: processor time",
        record.thread_us,
        "us",
        record.thread_us / bare.thread_us,
        "bare commit, processor time",
    )
    yield Figure("durable decision: record, p99", record.p99_us, "us", record.p99_us / bare.p99_us, "bare commit, p99")
    bound = bare.median_us + checks.median_us + THINKING_MAX_US
    yield Figure(
        f"stand-in decision, {RULES_COUNT} rules",
        whole.median_us,
        "us",
        whole.ratio,
        "bare commit",
        limit="one flush, two signature checks, and Python",
    )
    yield Figure(
        f"stand-in decision without its commit, {RULES_COUNT} rules",
        judged.median_us,
        "us",
        judged.ratio,
        "bare commit",
        f"<= {JUDGEMENT_MAX_US} us",
        "lookup, sums of the ledger, CEL",
    )
    yield Figure(
        "stand-in decision against its budget",
        whole.median_us,
        "us",
        whole.median_us / bound,
        "bare commit + 2 checks + 300 us",
        "<= 1",
    )
    yield Figure(
        "stand-in decision: thinking alone",
        whole.thread_us - record.thread_us,
        "us",
        (whole.thread_us - record.thread_us) / (checks.thread_us + THINKING_MAX_US),
        "2 checks + 300 us",
        "<= 1",
        "processor time without the record: pass, lookup, rules, slip, announcement",
    )
    yield Figure("stand-in decision, p99", whole.p99_us, "us", whole.p99_us / bare.p99_us, "bare commit, p99")


def _on_a_shops_disk(directory: Path, size: Size, loop: asyncio.AbstractEventLoop) -> Iterator[Figure]:
    """The same record where a flush costs what it costs at a lane: there the disk decides, not Python."""
    vfs = ShopDisk()
    (directory / "shop").mkdir()
    till, bare = Till(directory / "shop", vfs=vfs.name), BareCommit(directory / "shop" / "bare.db", vfs=vfs.name)
    recorder = Recorder(till, loop)

    def between() -> None:
        till.maintain()
        bare.recycle()

    commit, record = compare(size, bare.commit, recorder.record, between=between)
    till.close()
    bare.close()
    flush = f"with a flush of {SHOP_FLUSH_S * 1000:g} ms"
    yield Figure(f"bare one-row commit, {flush}", commit.median_us, "us")
    yield Figure(
        f"durable decision: record, {flush}", record.median_us, "us", record.ratio, "bare commit", f"<= {RATIO_MAX}"
    )


def flushes(directory: Path, runs: int, loop: asyncio.AbstractEventLoop) -> Iterator[Figure]:
    """Syncs of the ledger's files: in each decision of a row, and in the one right after the log is recycled."""
    counter = FlushCounter()
    (directory / "counted").mkdir()
    till = Till(directory / "counted", vfs=counter.name)
    recorder = Recorder(till, loop)
    till.maintain()
    counts = [_counted(recorder, counter) for _ in range(runs)]
    till.close()
    yield Figure("flushes of a decision", max(counts[1:]), "flushes", goal="exactly 1")
    yield Figure("flushes of the first decision after upkeep", counts[0], "flushes", goal="exactly 1")


def _counted(recorder: Recorder, counter: FlushCounter) -> int:
    before = counter.count
    recorder.record()
    return counter.count - before
