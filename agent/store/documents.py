"""What the lane was given and must not forget: signed documents, the floor of time, notes about itself.

The one rule: the newest is kept, as it was signed, and of policies each one, because the journal never forgets what was
decided by them. Whether a document may come into force is decided elsewhere.
"""

from __future__ import annotations

from typing import Final

from agent.store import fold
from agent.store.connection import LedgerConnection
from agent.store.schema import KeptPolicy, Note, SignedDocument, TimeFloor

_SELECT_TIME_FLOOR: Final = fold.sql(
    TimeFloor.select(TimeFloor.floor_s, TimeFloor.last_signed_s).where(TimeFloor.lender == "")
)


class Documents(LedgerConnection):
    """The part of ``ports.Ledger`` about documents, time and notes."""

    def note(self, name: str) -> str | None:
        rows = self._query(Note.select(Note.text).where(Note.name == name))
        return str(rows[0][0]) if rows else None

    def take_note(self, name: str, text: str | None) -> None:
        with self._transaction():
            self._put_note(name, text)

    def _put_note(self, name: str, text: str | None) -> None:
        if text is None:
            self._db.execute(Note.delete().where(Note.name == name))
        else:
            self._db.execute(Note.insert(name=name, text=text).on_conflict_replace())

    def document(self, lender: str, kind: str) -> tuple[int, bytes] | None:
        query = SignedDocument.select(SignedDocument.version, SignedDocument.data).where(
            SignedDocument.lender == lender, SignedDocument.kind == kind
        )
        rows = self._query(query)
        return (rows[0][0], bytes(rows[0][1])) if rows else None

    def documents(self, kind: str) -> dict[str, bytes]:
        query = SignedDocument.select(SignedDocument.lender, SignedDocument.data).where(SignedDocument.kind == kind)
        return {lender: bytes(data) for lender, data in self._query(query.order_by(SignedDocument.lender))}

    def store_document(self, lender: str, kind: str, version: int, data: bytes) -> None:
        with self._transaction():
            self._db.execute(
                SignedDocument.insert(lender=lender, kind=kind, version=version, data=data).on_conflict_replace()
            )

    def policy_of_version(self, lender: str, version: int) -> bytes | None:
        query = KeptPolicy.select(KeptPolicy.data).where(KeptPolicy.lender == lender, KeptPolicy.version == version)
        rows = self._query(query)
        return bytes(rows[0][0]) if rows else None

    def keep_policy(self, lender: str, version: int, digest: bytes, data: bytes) -> None:
        with self._transaction():
            row = {"lender": lender, "version": version, "digest": digest, "data": data}
            self._db.execute(KeptPolicy.insert(row).on_conflict_ignore())

    def time_floor(self, lender: str) -> tuple[int, int | None]:
        row = self._read(_SELECT_TIME_FLOOR, (lender,)).fetchone()
        return (row[0], row[1]) if row else (0, None)

    def set_time_floor(self, lender: str, floor_s: int, last_signed_s: int | None) -> None:
        with self._transaction():
            self._db.execute(
                TimeFloor.insert(lender=lender, floor_s=floor_s, last_signed_s=last_signed_s).on_conflict_replace()
            )
