"""Uploads that an honest lane would not send: whatever bytes, signed by whatever key, over whatever statement.

The one rule: what is forged is said by the caller; everything else is as it should be.
"""

from __future__ import annotations

from agent.conformance.exchange import Exchange
from agent.conformance.lane import Lane, b64url
from agent.core import cbor, cose, journal
from agent.core.cose import SigningKey
from agent.core.journal import Head, Sealed


def post(
    lane: Lane,
    first: int,
    entries: list[bytes],
    *,
    count: int | None = None,
    key: SigningKey | None = None,
    typ: str = journal.UPLOAD_TYP,
) -> Exchange:
    """An upload of these bytes from number ``first`` on; ``count``, ``key`` and ``typ`` are those of the signature."""
    end = Head(lane.name, lane.head.epoch, first + len(entries) - 1, journal.digest(entries[-1]))
    statement = journal.upload_statement(end, first, len(entries) if count is None else count)
    signature = cose.sign1(statement, key or lane.key, typ=typ)
    body = {"lane": lane.name, "epoch": lane.head.epoch, "first": first}
    body |= {"entries": [b64url(data) for data in entries], "signature": b64url(signature)}
    return lane.line.post("/v1/journal", body)


def variant(sealed: Sealed, **other: object) -> bytes:
    """The entry with other fields, encoded anew."""
    entry = sealed.entry
    fields = {name: getattr(entry, name) for name in entry.__dataclass_fields__} | other
    fields["clock"], fields["body"] = list(fields["clock"]), dict(fields["body"])
    return cbor.encode(list(fields.values()))
