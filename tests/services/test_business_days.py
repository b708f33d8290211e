"""Any business day: its batch, its paper and an independent count of the journal come to the same.

Two lenders, sales at once and held, captures of less, instalments, voids, refunds, declines, hours that pass midnight,
a clock that signed time corrects, restarts, and closes at any moment.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.journal import Entry, Kind
from agent.core.money import format_minor
from agent.core.settlement import NAMES
from agent.errors import OfferRefused
from agent.services.offers import Wish
from agent.services.settlement import BatchReport
from agent.texts import day_label
from drivers.document import layout
from tests.services.lanes import CUSTOMER, DAY_S, HOUR_S, LENDER, PaperLender, Till, order
from tests.services.test_printing import print_for
from tests.uplink.world import run

OTHER: Final = PaperLender("otherlend")
LENDERS: Final = (LENDER, OTHER.name)
SINGLE: Final[Mapping[str, str]] = {
    Kind.DECLINE: "declined",
    Kind.CAPTURE: "captured",
    Kind.REVERSAL: "reversed",
    Kind.EXPIRY: "expired",
    Kind.VOID: "voided",
    Kind.REFUND: "refunded",
}

lender = st.sampled_from(LENDERS)
pick = st.integers(0, 9)
WORDS = st.one_of(
    st.tuples(st.just("sell"), lender, st.integers(1, 30_000)),
    st.tuples(st.just("hold"), lender, st.integers(1, 9_000)),
    st.tuples(st.just("plan"), lender, st.integers(10_000, 30_000)),
    st.tuples(st.just("capture"), pick, st.integers(1, 9_000)),
    *[st.tuples(st.just(word), pick, st.integers(1, 9_000)) for word in ("reverse", "void", "refund")],
    st.tuples(st.just("pass"), pick, st.integers(0, 9 * HOUR_S)),
    st.tuples(st.just("correct"), pick, st.integers(-5 * HOUR_S, 5 * HOUR_S)),
    st.tuples(st.just("restart"), pick, pick),
    st.tuples(st.just("close"), lender, pick),
)


@pytest.mark.proof
@given(st.lists(WORDS, min_size=12, max_size=24))
@settings(max_examples=25, deadline=None)
def test_every_batch_is_its_stretch_of_the_journal_and_its_paper_says_so(words: list[Any]) -> None:
    with TemporaryDirectory() as folder:
        fields: dict[str, Any] = {"grants": {CUSTOMER: 150_000}, "others": [OTHER], "valid_s": 10 * DAY_S}
        with closing(Till(Path(folder), **fields)) as till:
            reports = [report for at, word in enumerate(words) if (report := play(till, at, *word))]
            reports += [close(till, name) for name in LENDERS]
            for report in reports:
                assert report.totals == counted(till, report)
                assert_on_paper(till, report)
            assert_without_gap(till, reports)


def play(till: Till, at: int, word: str, which: Any, value: int) -> BatchReport | None:
    """One thing that happens at the counter; what cannot be done is refused and changes nothing."""
    match word:
        case "sell" | "hold" | "plan":
            how: dict[str, Any] = {"hold": {"capture": "later"}, "plan": {"wish": Wish("3x")}}.get(word, {})
            with suppress(OfferRefused):  # a plan, while no clock is to be trusted
                run(till.checkout.sell(order(f"sale-{at:04}", value, **how), till.phone(lender=which).code()))
        case "pass":
            till.clock.pass_time(value)
        case "correct":
            for signer in (till.lender, OTHER):
                till.tell_time(till.clock.wall + value, lender=signer)
        case "restart":
            till.restart()
        case "close":
            return close(till, which)
        case _:
            become(till, at, word, which, value)
    return None


def become(till: Till, at: int, word: str, which: int, minor: int) -> None:
    is_held = word in ("capture", "reverse")
    sold = [hold for hold in till.ledger.recent_sales(50) if (hold.held_minor if is_held else hold.captured_minor)]
    if not sold:
        return
    hold, holds = sold[which % len(sold)], till.lane.holds
    sale, minor = hold.sale_id, min(minor, hold.held_minor or hold.captured_minor)
    match word:
        case "capture":
            run(holds.capture(sale, minor, request=f"c{at}"))
        case "reverse":
            run(holds.reverse(sale, "x"))
        case "void":
            run(holds.void(sale, "x"))
        case "refund":
            run(holds.refund(sale, minor, request=f"r{at}", reason="x"))


def close(till: Till, name: str) -> BatchReport:
    report = run(till.lane.settlement.close_day(name))
    assert isinstance(report, BatchReport)
    return report


def counted(till: Till, report: BatchReport) -> dict[str, dict[str, int]]:
    """The batch's totals by another way: its entries by hand."""
    counts, minors = Counter[str](), Counter[str]()
    for sealed in till.ledger.entries_after(report.epoch, report.first_number - 1, 10_000):
        entry = sealed.entry
        if entry.number <= report.last_number and entry.lender == report.lender:
            for name in names_of(entry):
                counts[name] += 1
                minors[name] += entry.body["amount_minor"]
    return {name: {"count": counts[name], "minor": minors[name]} for name in {*NAMES, *counts}}


def names_of(entry: Entry) -> list[str]:
    if entry.kind == Kind.AUTHORIZATION:
        plan = entry.body["plan"]
        return ["approved", "stand_in", *([f"plan.{plan['id']}"] if plan else [])]
    return [SINGLE[entry.kind]] if entry.kind in SINGLE else []


def assert_on_paper(till: Till, report: BatchReport) -> None:
    till.lane.slips.print_day(report)
    print_for(till, 60)
    lines = [line.text for line in layout(till.printer.documents[-1], 48)]
    for name, total in report.totals.items():
        is_plan = name.startswith("plan.")
        label = day_label("zh-CN", "plan", plan=name[5:]) if is_plan else day_label("zh-CN", name)
        amount = format_minor(total["minor"], "CNY").replace("¥", "￥")
        assert [
            line for line in lines if line.startswith(f"{label} × {total['count']} ") and line.endswith(f" {amount}")
        ]


def assert_without_gap(till: Till, reports: list[BatchReport]) -> None:
    """Of each lender every entry that moves money is in one batch: no batch overlaps another, none leaves a hole."""
    for name in LENDERS:
        batches = {(report.batch): report for report in reports if report.lender == name}
        assert sorted(batches) == list(range(1, len(batches) + 1))
        ordered = [batches[number] for number in sorted(batches)]
        assert ordered[0].first_number == 1
        for before, after in pairwise(ordered):
            assert after.first_number == before.last_number + 1
        after_all = till.ledger.entries_after(1, ordered[-1].last_number, 10_000)
        assert not any(names_of(sealed.entry) for sealed in after_all if sealed.entry.lender == name)
