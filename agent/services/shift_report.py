"""A shift as a printable document: what was in the drawer, what was counted, and what was sold on credit meanwhile.

The one rule: the difference stands in words, over or short, and the one who counted signs below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from agent.core.money import format_minor
from agent.core.receipt import Seller
from agent.core.settlement import Totals
from agent.core.shift import Shift
from agent.services.day_report import totals_of
from agent.texts import Language, shift_label
from drivers.document import Block, Cut, Document, Feed, Pair, Rule, Text


@dataclass(frozen=True, slots=True)
class ShiftAccount:
    """A shift with what it sold on credit, by the name of the lender."""

    shift: Shift
    credit: Mapping[str, Totals]


def shift_report(
    account: ShiftAccount, seller: Seller, language: Language, local_time: Callable[[int], str]
) -> Document:
    """The document of an open or closed shift; ``local_time`` tells UTC seconds by the store's clock."""
    shift = account.shift

    def label(key: str, **values: object) -> str:
        return shift_label(language, key, **values)

    return Document(
        (
            Text(seller.merchant, align="center", bold=True),
            Text(seller.store, align="center"),
            Rule(),
            Text(label("title_closed" if shift.closed else "title_open"), align="center", bold=True, size="double"),
            Text(label("number", number=shift.number), align="center", bold=True),
            Rule(),
            Pair(label("operator"), shift.operator),
            Pair(label("lane"), seller.lane),
            Pair(label("opened_at"), local_time(shift.opened_at)),
            *((Pair(label("closed_at"), local_time(shift.closed_at)),) if shift.closed_at is not None else ()),
            Pair(label("entries"), " … ".join(f"{at.epoch}-{at.number}" for at in (shift.opened, shift.closed) if at)),
            Rule(),
            *_drawer(shift, label),
            Rule(),
            *_credit(account, language),
            *((Feed(3), Rule(), Text(label("signature"), align="center")) if shift.closed else ()),
            Feed(1),
            Cut(),
        ),
        language,
    )


def _drawer(shift: Shift, label: Callable[..., str]) -> Iterator[Block]:
    def money(minor: int) -> str:
        return format_minor(minor, shift.currency)

    yield Pair(label("float"), money(shift.float_minor), bold=not shift.closed)
    difference, counted = shift.difference_minor, shift.counted_minor
    if difference is None or counted is None:
        return
    yield Pair(label("cash"), money(shift.cash_minor))
    yield Pair(label("expected"), money(shift.expected_minor))
    yield Pair(label("counted"), money(counted))
    word = "over" if difference > 0 else "short" if difference else "exact"
    yield Text(label(word, amount=money(abs(difference))), align="center", bold=True, size="double")


def _credit(account: ShiftAccount, language: Language) -> Iterator[Block]:
    if not account.credit and account.shift.closed:
        yield Text(shift_label(language, "no_credit"), align="center")
    for lender, totals in account.credit.items():
        yield Text(shift_label(language, "credit", lender=lender), bold=True)
        counted = {name: total for name, total in totals.to_wire().items() if total["count"]}
        yield from totals_of(counted, account.shift.currency, language)
