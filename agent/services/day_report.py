"""The day's report (Z report) as a printable document: what a closed batch came to, and what is carried on.

The one rule: what is not settled (unsent, held, disputed, parked) stands on it line by line; a clean day says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.core.forwarding import EntryState
from agent.core.money import format_minor
from agent.core.receipt import Seller
from agent.core.settlement import NAMES, PLAN_PREFIX, STAND_IN, net_minor
from agent.services.settlement import BatchReport, OpenItem
from agent.texts import Language, day_label
from drivers.document import Block, Cut, Document, Feed, Pair, Rule, Text

EXCEPTIONS: Final = tuple(map(str, (EntryState.DISPUTED, EntryState.PARKED, EntryState.QUARANTINED)))
"""What a backend makes of an entry; a word that this version does not know is printed as it is."""
ORDER: Final = tuple(sorted(NAMES, key=("approved", STAND_IN, *NAMES).index))
"""As people read it: what the lane approved alone stands under all that was approved."""
HEAD_CHARS: Final = 16
"""Of the hash in which the batch ends: enough for two people to compare."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A closed batch with what its paper says besides: the lender's name, and the store's time of printing."""

    report: BatchReport
    lender: str
    currency: str
    local_time: str


def day_report(closing: Closing, seller: Seller, language: Language) -> Document:
    """The document for printer, page and archive."""
    report, currency = closing.report, closing.currency

    def label(key: str, **values: object) -> str:
        return day_label(language, key, **values)

    return Document(
        (
            Text(seller.merchant, align="center", bold=True),
            Text(seller.store, align="center"),
            Rule(),
            Text(label("title"), align="center", bold=True, size="double"),
            Text(label("batch", batch=report.batch), align="center", bold=True),
            Rule(),
            Pair(label("lender"), closing.lender),
            Pair(label("lane"), seller.lane),
            Pair(label("time"), closing.local_time),
            Pair(label("entries"), f"{report.epoch}-{report.first_number} … {report.epoch}-{report.last_number}"),
            Pair(label("chain_head"), report.chain_head[:HEAD_CHARS]),
            Rule(),
            *_totals(report, currency, language),
            Rule(),
            Pair(label("net"), format_minor(net_minor(report.totals), currency), bold=True),
            Rule(),
            *_carried(report, currency, language),
            Rule(),
            Text(label(report.state), align="center", bold=True),
            *(Text(difference) for difference in report.differences),
            Feed(1),
            Cut(),
        ),
        language,
    )


def _totals(report: BatchReport, currency: str, language: Language) -> Iterator[Block]:
    for name in [*ORDER, *sorted(report.totals.keys() - set(ORDER))]:
        total = report.totals[name]
        is_plan = name.startswith(PLAN_PREFIX)
        label = (
            day_label(language, "plan", plan=name.removeprefix(PLAN_PREFIX)) if is_plan else day_label(language, name)
        )
        yield Pair(f"{label} × {total['count']}", format_minor(total["minor"], currency))


def _carried(report: BatchReport, currency: str, language: Language) -> Iterator[Block]:
    still = report.open
    if not (still.unsent or still.held.count or still.items):
        yield Text(day_label(language, "nothing_carried"), align="center")
        return
    yield Text(day_label(language, "carried"), bold=True)
    if still.unsent:
        yield Pair(day_label(language, "unsent"), str(still.unsent))
    if still.held.count:
        yield Pair(f"{day_label(language, 'held')} × {still.held.count}", format_minor(still.held.minor, currency))
    for item in still.items:
        yield from _item(item, currency, language)


def _item(item: OpenItem, currency: str, language: Language) -> Iterator[Block]:
    amount = format_minor(item.minor, currency) if item.minor else ""
    state = day_label(language, item.state) if item.state in EXCEPTIONS else item.state
    yield Pair(f"{state} {item.epoch}-{item.number}", amount, bold=True)
    yield Text("  " + ", ".join(filter(None, (item.reason, item.sale_id))))
