"""A statement in words: the same rows for the slip, the page, the point of sale and the command line.

The one rule: the words around the figures are the catalogue's, the figures and the lender's texts the statement's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from agent.core.disclosure import Statement
from agent.core.money import Money, format_minor
from agent.texts import LANGUAGES, Language, statement_label


class Row(NamedTuple):
    """A label and its figure, or a paragraph (no figure). ``is_prominent``: the law wants it seen first."""

    label: str
    figure: str = ""
    is_prominent: bool = False


def rows(said: Statement, language: Language) -> tuple[Row, ...]:
    """All that is to be shown of an offer, in order."""

    def label(key: str, **values: object) -> str:
        return statement_label(language, key, **values)

    return (
        Row(label("lender"), said.lender[language]),
        Row(label("product"), said.product[language]),
        Row(label("plan"), said.name[language]),
        Row(label("principal"), _money(said, said.principal_minor)),
        *(
            Row(label("payment", number=number, due=payment.due.isoformat()), _money(said, payment.minor))
            for number, payment in enumerate(said.payments, 1)
        ),
        *_costs(said, language),
        Row(label("total"), _money(said, said.total_minor), is_prominent=True),
        Row(label("nominal"), f"{said.nominal}%", is_prominent=True),
        Row(label("effective"), f"{said.effective}%"),
        Row(label("default_terms", terms=said.default_terms[language])),
        Row(label("nothing_else")),
        Row(said.reminder[language]),
        Row(said.complaints[language]),
    )


def _costs(said: Statement, language: Language) -> Iterator[Row]:
    """The cost item: what it is charged on and how, its rate, who is paid; and what a coupon took off."""
    rate = f"{(Decimal(said.fee_rate) * 100).normalize():f}%"
    yield Row(statement_label(language, "fee"), _money(said, said.fee_minor + said.waived_minor + said.merchant_minor))
    yield Row(statement_label(language, f"fee_{said.fee_method}", rate=rate, payee=said.lender[language]))
    if said.merchant_minor:
        yield Row(statement_label(language, "merchant_share"), _money(said, -said.merchant_minor))
    if said.coupon_id is not None:
        yield Row(statement_label(language, f"coupon_{said.borne_by}"), _money(said, -said.waived_minor))
    yield Row(statement_label(language, "cost"), _money(said, said.fee_minor), is_prominent=True)


def _money(said: Statement, minor: int) -> str:
    return format_minor(minor, said.currency)


def to_json(said: Statement, language: Language) -> dict[str, Any]:
    """An offer for the local API: figures for programs, ``rows`` as [label, figure] for people; ``shown``: the same in
    every language, each row as [label, figure, whether it is prominent]."""
    return {
        "plan": said.plan_id,
        "name": said.name[language],
        "statement": said.digest.hex(),
        "amount": Money(said.principal_minor, said.currency).to_wire(),
        "payments": [{"due": p.due.isoformat(), "minor": p.minor} for p in said.payments],
        "fee_minor": said.fee_minor,
        "total_minor": said.total_minor,
        "nominal_percent": said.nominal,
        "effective_percent": said.effective,
        "coupon": said.coupon_id.hex() if said.coupon_id else None,
        "waived_minor": said.waived_minor,
        "rows": [[row.label, row.figure] for row in rows(said, language)],
        "shown": {
            each: {
                "name": said.name[each],
                "lender": said.lender[each],
                "rows": [list(row) for row in rows(said, each)],
            }
            for each in LANGUAGES
        },
    }
