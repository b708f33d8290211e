"""Books that go back under a running server: it remembers how far they had come.

The one rule: the books count, and a server that finds less than it has seen takes them for restored (lease rule 13). A
SQLite file is one process's as long as it runs, so only books on a server can be put back under it.
"""

from __future__ import annotations

from typing import Any, Final

from backend.database import Contended, change, compiled, fetch
from backend.schema import Tide

PUT_BACK: Final = "books_put_back"

_ROW: Final = "books"
_READ: Final = compiled(Tide.select(Tide.count).where(Tide.name == ""))
_RISE: Final = compiled(Tide.update(count=0).where(Tide.name == "", Tide.count == 0))


def rise() -> int:
    """Count one more; the count before. To be called inside a transaction. Raises Contended."""
    found = fetch(_READ, _ROW)
    count = int(found[0][0]) if found else 0
    if not found:
        Tide.create(name=_ROW, count=1)
    elif change(_RISE, count + 1, _ROW, count) != 1:
        raise Contended("the books' count")
    return count


class Watermark:
    """How far one server has seen the books come, and over which connection it last looked."""

    def __init__(self) -> None:
        self._count = 0
        self._connection: object = None

    def is_due(self, connection: Any) -> bool:
        """Whether nobody has looked over this connection yet, or it is lost: behind a new one other books may lie."""
        return bool(connection.closed) or connection is not self._connection

    def is_above(self, count: int) -> bool:
        """Whether books that have come so far have gone back."""
        return count < self._count

    def keep(self, count: int, connection: object) -> None:
        self._count, self._connection = count + 1, connection
