"""What a ledger turns out to be when it is opened again on a given disk image.

The one rule: nothing is taken on trust: SQLite's own check, the chain, and every cache against the journal.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import apsw

from agent.core.authorization import HoldRefused
from agent.core.journal import Head, JournalError, open_entry, walk
from agent.errors import LedgerError
from agent.simulation.disk import Disk, DiskVfs
from agent.store.ledger import SqliteLedger
from agent.store.schema import FOLD, TABLES

PATH: Final = "/lane.db"
WAL_PAGES: Final = 4
"""Small, so that the growth of the WAL is a handful of operations to cut and not a thousand."""

_TABLES: Final = tuple(model._meta.table_name for model in TABLES)
_CACHES: Final = tuple(model._meta.table_name for model in FOLD)

Content = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Recovered:
    """``content``: every row of every table; ``journal``: the entries' bytes in order; ``fault``: why it is useless."""

    content: Content = ()
    journal: tuple[bytes, ...] = ()
    fault: str | None = None


def open_ledger(vfs: DiskVfs, *, synchronous: str = "FULL", names_are_synced: bool = True) -> SqliteLedger:
    """The real ledger on a disk in memory. Raises as SqliteLedger.open."""
    sync_dir = vfs.disk.sync_names if names_are_synced else _no_sync
    return SqliteLedger.open(PATH, vfs=vfs.name, sync_dir=sync_dir, synchronous=synchronous, wal_pages=WAL_PAGES)


def content_of(ledger: SqliteLedger, tables: tuple[str, ...] = _TABLES) -> Content:
    database = ledger._db  # what the file holds, not what the ledger says about it
    return tuple(tuple(database.execute_sql(f"SELECT * FROM {table}").fetchall()) for table in tables)  # noqa: S608


class Recovery:
    """Boots images, each once: images with the same bytes recover alike, and so do caches of the same content."""

    def __init__(self) -> None:
        self._vfs = DiskVfs(Disk())
        self._by_image: dict[bytes, Recovered] = {}
        self._by_content: dict[Content, Recovered] = {}
        self.boots = 0

    def boot(self, image: Mapping[str, bytes]) -> Recovered:
        key = _digest(image)
        if key not in self._by_image:
            self.boots += 1
            self._by_image[key] = self._boot(image)
        return self._by_image[key]

    def _boot(self, image: Mapping[str, bytes]) -> Recovered:
        self._vfs.disk = Disk(image)
        try:
            with opened(self._vfs) as ledger:
                return self._examined(ledger)
        except Exception as error:  # whatever a broken image makes it raise, the sale is not there
            return Recovered(fault=f"{type(error).__name__}: {error}")

    def _examined(self, ledger: SqliteLedger) -> Recovered:
        said = ledger._db.execute_sql("PRAGMA integrity_check").fetchone()[0]
        if said != "ok":
            return Recovered(fault=f"integrity_check: {said}")
        content = content_of(ledger)
        if content not in self._by_content:
            self._by_content[content] = Recovered(content, journal_in(content), _fault_of(ledger, content))
        return self._by_content[content]


@contextmanager
def opened(vfs: DiskVfs) -> Iterator[SqliteLedger]:
    """A ledger that is surely closed afterwards, whatever its disk does."""
    ledger = open_ledger(vfs)
    try:
        yield ledger
    finally:
        ledger.close()


def journal_in(content: Content) -> tuple[bytes, ...]:
    return tuple(row[-1] for row in content[0])


def _fault_of(ledger: SqliteLedger, content: Content) -> str | None:
    """Why journal, head and caches do not fit each other; None if they do."""
    before = content_of(ledger, _CACHES)
    try:
        head = _walk(journal_in(content))
        rebuilt = ledger.verify() if content[0] else head
    except (JournalError, HoldRefused, LedgerError) as error:
        return f"{type(error).__name__}: {error}"
    if head.position != ledger.head.position or head.hash != ledger.head.hash or rebuilt.hash != head.hash:
        return f"the head says {ledger.head.position}, the journal ends at {head.position}"
    if content_of(ledger, _CACHES) != before:
        return "the caches are not what the journal says"
    return None


def _walk(journal: tuple[bytes, ...]) -> Head:
    """Follow every epoch's chain from its first entry. Raises JournalError."""
    head = Head("", 0)
    entries = (open_entry(data) for data in journal)
    for epoch, chain in groupby(entries, key=lambda sealed: (sealed.entry.lane, sealed.entry.epoch)):
        head = Head(*epoch, horizons=head.horizons)
        head = walk(head, [link.data for link in chain])
    return head


def _digest(image: Mapping[str, bytes]) -> bytes:
    total = hashlib.sha256()
    for name in sorted(image):
        total.update(b"%s:%d:" % (name.encode(), len(image[name])))
        total.update(image[name])
    return total.digest()


def _no_sync(_directory: str) -> None:
    return None


class DiskReader:
    """Reads journals from disk images as a boot after a power cut would find them, without booting a lane."""

    def __init__(self) -> None:
        self._vfs = DiskVfs(Disk())

    def entries_of_sale(self, image: Mapping[str, bytes], sale_id: str) -> set[bytes]:
        """The bytes of a sale's entries; none where the image is no ledger."""
        self._vfs.disk = Disk(image)
        try:
            with contextlib.closing(apsw.Connection(PATH, vfs=self._vfs.name)) as connection:
                connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
                rows = connection.execute("SELECT data FROM journal_entry WHERE sale_id = ?", (sale_id,)).fetchall()
        except apsw.Error:
            return set()
        return {row[0] for row in rows if isinstance(row[0], bytes)}
