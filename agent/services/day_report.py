"""The day's report (Z report) as a printable document: what a closed batch came to, and what is carried on.

The one rule: what is not settled (unsent, held, disputed, parked) stands on it line by line; a clean day says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from agent.core.forwarding import EntryState
from agent.core.money import format_minor
from agent.core.receipt import Seller
from agent.core.settlement import NAMES, PLAN_PREFIX, STAND_IN, Difference, net_minor
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
            *totals_of(report.totals, currency, language),
            Rule(),
            Pair(label("net"), format_minor(net_minor(report.totals), currency), bold=True),
            Rule(),
            *_carried(report, currency, language),
            Rule(),
            Text(label(report.state), align="center", bold=True),
            *(line for found in report.differences for line in _difference(found, report, currency, language)),
            *((Text(label("what_to_do")),) if report.differences else ()),
            Feed(1),
            Cut(),
        ),
        language,
    )


def totals_of(totals: Mapping[str, Mapping[str, int]], currency: str, language: Language) -> Iterator[Pair]:
    """A row for each kind of total, in the order in which people read them."""
    for name in sorted(totals, key=lambda name: (name not in ORDER, ORDER.index(name) if name in ORDER else 0, name)):
        total = totals[name]
        yield Pair(f"{_name_of(name, language)} × {total['count']}", format_minor(total["minor"], currency))


def _name_of(total: str, language: Language) -> str:
    if total.startswith(PLAN_PREFIX):
        return day_label(language, "plan", plan=total.removeprefix(PLAN_PREFIX))
    return day_label(language, total)


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


def _difference(found: Difference, report: BatchReport, currency: str, language: Language) -> Iterator[Block]:
    """Where the halves differ, and below it what each of them says."""

    def label(key: str) -> str:
        return day_label(language, key)

    def said(half: Mapping[str, int] | str) -> str:
        if not isinstance(half, str):
            return f"{half['count']} × {format_minor(half['minor'], currency)}"
        return label(half) if half in (*EXCEPTIONS, "accepted") else half[:HEAD_CHARS]

    match found.what:
        case "total":
            title = _name_of(found.name, language)
            yield Text(title, bold=True)
        case "entry":
            amount = format_minor(found.minor, currency) if found.minor else ""
            yield Pair(f"{label('entry')} {report.epoch}-{found.number}", amount, bold=True)
            yield Text("  " + ", ".join(filter(None, (found.reason, found.sale_id))))
        case what:
            yield Text(label(what), bold=True)
    if found.lane or found.backend:
        yield Pair(f"  {label('here')}", said(found.lane))
        yield Pair(f"  {label('there')}", said(found.backend))


def _item(item: OpenItem, currency: str, language: Language) -> Iterator[Block]:
    amount = format_minor(item.minor, currency) if item.minor else ""
    state = day_label(language, item.state) if item.state in EXCEPTIONS else item.state
    yield Pair(f"{state} {item.epoch}-{item.number}", amount, bold=True)
    yield Text("  " + ", ".join(filter(None, (item.reason, item.sale_id))))
