"""The journal entry: what a lane states, as canonical bytes in a hash chain.

The one rule: an entry is encoded once. The same bytes are stored, hashed, signed, shipped and kept by
the backend; nobody re-encodes them.

An entry is a deterministic CBOR array (RFC 8949 section 4.2.1) in the order of ``Entry``'s fields; its
hash is SHA-256 over these bytes and the next entry names it. Numbers start at 1 in every epoch and have
no gaps. The bodies are maps with text keys, documented in ``BODIES``; ``code`` is the first 8 bytes of the SHA-256 of
the scanned text, ``cti`` the id of the phone's proof, ``account`` the 16-byte token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from agent.core import cbor

VERSION: Final = 1
GENESIS_HASH: Final = bytes(32)
ENTRY_BYTES_MAX: Final = 64 * 1024
UPLOAD_TYP: Final = "counterfoil-upload"
INT_END: Final = 2**53
"""Numbers and times stay exact wherever they are kept: SQLite, JSON, a spreadsheet."""


class Kind(StrEnum):
    """Every kind of entry that this version writes; a backend stores unknown kinds too."""

    EPOCH_START = "epoch_start"
    ONLINE_INTENT = "online_intent"
    ONLINE_OUTCOME = "online_outcome"
    AUTHORIZATION = "authorization"
    DECLINE = "decline"
    DISCLOSURE = "disclosure"
    CAPTURE = "capture"
    REVERSAL = "reversal"
    EXPIRY = "expiry"
    VOID = "void"
    REFUND = "refund"
    REFUND_INTENT = "refund_intent"
    REFUND_OUTCOME = "refund_outcome"
    LEASE_RETURN = "lease_return"
    LEASE_REQUEST = "lease_request"
    PRINT = "print"
    SETTLEMENT = "settlement"
    SHIFT_OPEN = "shift_open"
    SHIFT_CLOSE = "shift_close"
    SNAPSHOT_INSTALLED = "snapshot_installed"
    POLICY_INSTALLED = "policy_installed"
    KEYS_INSTALLED = "keys_installed"
    OPERATOR = "operator"


_MONEY: Final = ("amount_minor", "currency")
_SOLD: Final = (*_MONEY, "category", "capture", "account")
_ATTEMPT: Final = (*_SOLD, "cti", "code", "plan")
_DECIDED: Final = (*_ATTEMPT, "response_code", "reason", "rules", "policy_version")
_ALONE: Final = (*_DECIDED, "snapshot_sequence", "clock_source", "situation", "online_unknown")
_DOCUMENT: Final = ("version", "digest")
_SHIFT: Final = ("shift", "operator", "float_minor", "currency")
_SLIP_REFUND: Final = (*_MONEY, "lane", "sale_id", "request")

BODIES: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.EPOCH_START: ("certificate", "journal_key", "reason", "previous"),
    Kind.ONLINE_INTENT: (*_ATTEMPT, "scanned_at", "lease"),
    Kind.ONLINE_OUTCOME: (*_DECIDED, "approved", "authorization_code", "lease", "expires_at"),
    Kind.AUTHORIZATION: (*_ALONE, "authorization_code", "funding", "lease", "expires_at"),
    Kind.DECLINE: _ALONE,
    Kind.DISCLOSURE: (*_SOLD, "policy_version", "statement", "coupon", "language", "shown_at", "chosen_at"),
    Kind.CAPTURE: (*_MONEY, "final", "request"),
    Kind.REVERSAL: (*_MONEY, "reason"),
    Kind.EXPIRY: _MONEY,
    Kind.VOID: (*_MONEY, "reason"),
    Kind.REFUND: (*_MONEY, "reason", "request"),
    Kind.REFUND_INTENT: _SLIP_REFUND,
    Kind.REFUND_OUTCOME: (*_SLIP_REFUND, "attempt", "approved", "response_code", "reason"),
    Kind.LEASE_RETURN: ("account", "lease"),
    Kind.LEASE_REQUEST: ("account", "left_minor"),
    Kind.PRINT: ("job_id", "rung", "copy"),
    Kind.SHIFT_OPEN: _SHIFT,
    Kind.SHIFT_CLOSE: (*_SHIFT, "opened", "opened_at", "cash_minor", "counted_minor"),
    Kind.SETTLEMENT: ("batch", "first_number", "last_number", "totals"),
    Kind.SNAPSHOT_INSTALLED: ("sequence", "digest"),
    Kind.POLICY_INSTALLED: _DOCUMENT,
    Kind.KEYS_INSTALLED: _DOCUMENT,
    Kind.OPERATOR: ("operator", "role", "action", "subject"),
}
"""The fields of each body, exactly. What needs saying of them:

- reason of an epoch: enrolled, replaced (another device before), restored (an old ledger before, lease rule 11);
  previous: {epoch, number, hash} where the backend holds that the epoch before ended, or None
- certificate: SHA-256 of the lane's certificate; journal_key: its COSE_Key; digest: SHA-256 of the signed document,
  of a snapshot its newest layer's manifest
- capture: at_once or later; account and cti: None as long as the pass is not known to be good
- plan: what was chosen (``core.disclosure.Choice``) of the disclosure before it, None: no instalments
- a disclosure comes before the intent or decision of its attempt: statement: the bytes that were shown
  (``core.disclosure.Statement``); coupon: its text or None; shown_at None: not shown by this lane
- lease of an intent: {epoch, debit_minor}, reserved and not yet spent; of an outcome or authorization:
  {epoch, delta_minor}, what the sale used; None: nothing
- expires_at: when an approval that is captured later ends by itself, UTC seconds; None: it does not
- final of a capture: the rest is released; request: the caller's id, by which two equal amounts are told apart
- a reversal or final capture that restores the lease (rule 9) has account and lease {epoch, delta_minor < 0} besides;
  an amount is always what is reversed, released, captured or given back by this very entry
- a refund_intent and its outcome are of another lane's sale, which the body names, and of no hold of this lane
- lease_return: {epoch, delta_minor > 0}, subtracted like a spend (rule 8).
- lease_request: left_minor: what the lane may still spend of the account's lease; it moves nothing
- rules: [rule, effect, outcome] each, as the backend answered them or as the lane decided; approved: the backend's word
- situation: what the lane's own decision looked at (`core.situation`), so that it can be decided again; None: no rule
  was asked
- funding: lease or cap; online_unknown: the backend was asked and may have answered, too
- an operator's entry comes before what it says is done: operator: a number or short name, or uid:N for the lane's own
  user; action: ``core.operators.Action``, signed_in or locked_out; subject: a sale id or None
- a shift's amounts are the drawer's: its float, the cash that the till took (below 0: gave back), what was counted;
  opened: [epoch, number] of the shift_open that a shift_close ends
- totals: {kind of total: {count, minor}} of the batch's entries
"""


class JournalError(Exception):
    """An entry or a chain that is not what it must be; ``reason`` is a stable id."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Position(NamedTuple):
    """Where an entry stands in its lane's journal; compares in chain order."""

    epoch: int
    number: int


@dataclass(frozen=True, slots=True)
class Draft:
    """What a service wants recorded; the ledger gives it number, hash link and time.

    ``lender``, ``sale_id`` and ``attempt`` are None for entries of the lane as a whole.
    """

    kind: str
    body: Mapping[str, Any]
    lender: str | None = None
    sale_id: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: what the next entry must build upon. ``horizons``: the lease horizon (UTC seconds) of each
    lender that an entry was about; one never decreases, and no lender's clock moves another's."""

    lane: str
    epoch: int
    number: int = 0
    hash: bytes = GENESIS_HASH
    horizons: Mapping[str, int] = field(default_factory=dict)

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.number)

    def horizon_of(self, lender: str | None) -> int:
        """The latest time to which the lane has sworn by this lender's clock; 0: to none."""
        return self.horizons.get(lender, 0) if lender is not None else 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, fields in wire order. Times are UTC seconds; ``clock`` is (trusted, offset to the wall clock in s).

    ``lease_horizon`` speaks for the leases of ``lender`` alone; an entry of no lender says 0.
    """

    version: int
    lane: str
    epoch: int
    number: int
    previous: bytes
    recorded_at: int
    clock: tuple[bool, int]
    lease_horizon: int
    kind: str
    lender: str | None
    sale_id: str | None
    attempt: int | None
    body: Mapping[str, Any]

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.number)

    def encode(self) -> bytes:
        return cbor.encode(
            [
                self.version, self.lane, self.epoch, self.number, self.previous, self.recorded_at, list(self.clock),
                self.lease_horizon, self.kind, self.lender, self.sale_id, self.attempt, dict(self.body),
            ]
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry together with its bytes and their hash."""

    entry: Entry
    data: bytes
    hash: bytes


def seal(draft: Draft, head: Head, *, recorded_at: int, clock: tuple[bool, int], lease_horizon: int) -> Sealed:
    """Give ``draft`` its place after ``head``. Its lender's horizon is raised to ``lease_horizon``, never lowered
    (rule 1)."""
    entry = Entry(
        version=VERSION,
        lane=head.lane,
        epoch=head.epoch,
        number=head.number + 1,
        previous=head.hash,
        recorded_at=recorded_at,
        clock=clock,
        lease_horizon=max(head.horizon_of(draft.lender), lease_horizon) if draft.lender is not None else 0,
        kind=str(draft.kind),
        lender=draft.lender,
        sale_id=draft.sale_id,
        attempt=draft.attempt,
        body=draft.body,
    )
    data = entry.encode()
    assert len(data) <= ENTRY_BYTES_MAX, f"an entry of {len(data)} bytes: bodies are bounded by construction"
    return Sealed(entry, data, digest(data))


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def advance(head: Head, sealed: Sealed) -> Head:
    entry, horizons = sealed.entry, head.horizons
    if entry.lender is not None and entry.lease_horizon > head.horizon_of(entry.lender):
        horizons = {**horizons, entry.lender: entry.lease_horizon}
    return Head(head.lane, head.epoch, entry.number, sealed.hash, horizons)


def open_entry(data: bytes) -> Sealed:
    """Read one entry from its bytes. Raises JournalError (reason ``malformed`` or ``version``)."""
    if len(data) > ENTRY_BYTES_MAX:
        raise JournalError("malformed", f"{len(data)} bytes, at most {ENTRY_BYTES_MAX}")
    try:
        fields: Any = cbor.decode(data)
    except cbor.CborError as error:
        raise JournalError("malformed", str(error)) from error
    if not isinstance(fields, list) or len(fields) != len(_SHAPE):
        raise JournalError("malformed", f"not an array of {len(_SHAPE)} fields")
    for (name, check), value in zip(_SHAPE, fields, strict=True):
        if not check(value):
            raise JournalError("malformed", f"field {name}")
    if fields[0] != VERSION:
        raise JournalError("version", f"version {fields[0]}, this is version {VERSION}")
    fields[6] = tuple(fields[6])
    return Sealed(Entry(*fields), bytes(data), digest(data))


def follow(head: Head, upload: Iterable[bytes]) -> Iterator[Sealed]:
    """Yield the entries of ``upload`` as long as each follows the one before. Raises JournalError
    (``malformed``, ``version``, ``other_lane``, ``gap``, ``fork``, ``horizon``) at the first that does not."""
    for data in upload:
        sealed = open_entry(data)
        entry = sealed.entry
        if (entry.lane, entry.epoch) != (head.lane, head.epoch):
            raise JournalError("other_lane", f"{entry.lane}/{entry.epoch}, expected {head.lane}/{head.epoch}")
        if entry.number != head.number + 1:
            raise JournalError("gap", f"number {entry.number}, expected {head.number + 1}")
        if entry.previous != head.hash:
            raise JournalError("fork", f"entry {entry.number} does not follow the hash of entry {head.number}")
        if entry.lease_horizon < head.horizon_of(entry.lender):
            raise JournalError("horizon", f"entry {entry.number} lowers the lease horizon of {entry.lender}")
        head = advance(head, sealed)
        yield sealed


def walk(head: Head, entries: Iterable[bytes]) -> Head:
    """Follow every link from ``head`` on; returns the head that ``entries`` lead to. Raises JournalError as follow."""
    for sealed in follow(head, entries):
        head = advance(head, sealed)
    return head


def check_end(reached: Head, head: Head) -> None:
    """Whether a walk ended where the journal says that it does. Raises JournalError (``head``)."""
    if (reached.position, reached.hash) != (head.position, head.hash):
        raise JournalError("head", f"the journal ends at {tuple(reached.position)}, its head is {tuple(head.position)}")


def upload_statement(head: Head, first: int, count: int) -> bytes:
    """What the lane's journal key signs for an upload: (lane, epoch, first number, count, hash of the last entry)."""
    return cbor.encode([head.lane, head.epoch, first, count, head.hash])


def _is_int(value: object) -> bool:
    return type(value) is int and 0 <= value < INT_END


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 64


def _is_clock(value: object) -> bool:
    match value:
        case [bool(), int(offset_s)]:
            return type(offset_s) is int and abs(offset_s) < INT_END
    return False


def _is_hash(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == 32


def _is_map(value: object) -> bool:
    return isinstance(value, dict)


def _or_none(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


_SHAPE: Final[tuple[tuple[str, Callable[[object], bool]], ...]] = (
    ("version", _is_int),
    ("lane", _is_text),
    ("epoch", _is_int),
    ("number", _is_int),
    ("previous", _is_hash),
    ("recorded_at", _is_int),
    ("clock", _is_clock),
    ("lease_horizon", _is_int),
    ("kind", _is_text),
    ("lender", _or_none(_is_text)),
    ("sale_id", _or_none(_is_text)),
    ("attempt", _or_none(_is_int)),
    ("body", _is_map),
)
