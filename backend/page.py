"""A page of the books: what one transaction has read, and what it writes when it is done.

The one rule: on a page everybody sees what was written on it before, and nobody else sees any of it until the page is
written down. So a row that many entries change is read once and written once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextvars import ContextVar
from typing import Any, Final, NamedTuple


class Update(NamedTuple):
    """An update whose ``values`` are asked for when the page is written down; ``exactly`` so many rows, if stated."""

    statement: Any
    values: Callable[[], tuple[Any, ...]]
    exactly: int | None


class Page:
    """``rows`` are by model and primary key, None where there is none; ``ahead`` answers of questions not asked yet;
    ``notes`` is what modules keep under keys of their own."""

    __slots__ = ("ahead", "inserts", "notes", "rows", "updates")

    def __init__(self) -> None:
        self.ahead: dict[tuple[Any, tuple[Any, ...]], list[tuple[Any, ...]]] = {}
        self.rows: dict[tuple[Any, tuple[Any, ...]], Any] = {}
        self.notes: dict[Hashable, Any] = {}
        self.updates: dict[Hashable, Update] = {}
        self.inserts: dict[Any, tuple[Any, dict[tuple[Any, ...], tuple[Any, ...]]]] = {}

    def update(
        self, name: Hashable, statement: Any, values: Callable[[], tuple[Any, ...]], *, exactly: int | None = None
    ) -> None:
        """Have an update run at the end, once for each ``name``, in the order of first mention."""
        self.updates.setdefault(name, Update(statement, values, exactly))

    def put(self, model: Any, statement: Any, values: Mapping[str, Any]) -> None:
        """Have a row inserted at the end; of two with one key the last, or the first if the statement says so."""
        row = tuple(values.get(name) for name in model._meta.sorted_field_names)
        key = tuple(row[at] for at in statement.key)
        waiting = self.inserts.setdefault(statement, (model, {}))[1]
        if statement.keeps_first and (key in waiting or self.rows.get((model, key)) is not None):
            return
        waiting[key] = row
        if self.rows.get((model, key), self) is None:
            self.rows[model, key] = model(**values)

    def clear(self) -> None:
        for each in (self.ahead, self.rows, self.notes, self.updates, self.inserts):
            each.clear()


OPEN: Final[ContextVar[Page | None]] = ContextVar("page", default=None)


def current() -> Page | None:
    """The page that is open in this thread."""
    return OPEN.get()
