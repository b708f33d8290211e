"""What the uplink asks of `run`, as types only: the lane's side of the private channel.

The one rule: the uplink decides nothing for the lane. It brings bytes; `run` judges signatures, versions, time and
positions in the journal, and its answers are final.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

UPLOAD_BYTES_MAX: Final = 4 << 20
"""Entries of one upload in all; base64 makes a third more of them, and a message of the channel holds 8 MiB."""


class LinkState(StrEnum):
    """The link as a sale meets it. `REFUSED`: the backend answers, but refuses this lane; the detail says why.

    `RECOVERING`: the backend was restored and authorizes nothing until its lanes have reported; sales stand in at once.
    """

    UP = "up"
    DOWN = "down"
    REFUSED = "refused"
    RECOVERING = "recovering"


class DocumentKind(StrEnum):
    """Signed documents small enough to be handed over as bytes."""

    KEYS = "keys"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class LenderState:
    """A lender as `run` knows it now.

    `root` is the CBOR of its COSE_Key, `keys` the signed key list in force, `layers` the sequences of the installed
    snapshot layers, bottom first, and `now_s` the lane's best time (seconds UTC) for judging validity.
    """

    lender: str
    root: bytes
    keys: bytes
    layers: tuple[int, ...]
    now_s: int


@dataclass(frozen=True, slots=True)
class Upload:
    """Entries `first` .. of `epoch` that are not acknowledged yet, with the journal key's COSE_Sign1 over their end."""

    epoch: int
    first: int
    entries: tuple[bytes, ...]
    signature: bytes

    @property
    def last(self) -> int:
        return self.first + len(self.entries) - 1


@dataclass(frozen=True, slots=True)
class EntryResult:
    """What the backend says about one entry: a key of core.forwarding.RESULT_EVENTS, and why, if not accepted."""

    number: int
    result: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LaneReport:
    """What a heartbeat carries: 16 random bytes that the signed time must name, and `facts` by their wire names.

    facts: epoch, number (the lane's head), acknowledged_through, queue_depth (entries of all epochs still to be sent),
    installed (newest snapshot layer and documents by lender), signature (of the journal key over all these), devices
    (state by name), versions, clock_offset_s (None: not trusted). acknowledged: through which number, of every epoch.
    """

    nonce: bytes
    facts: Mapping[str, Any]
    acknowledged: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundLater:
    """An entry that the backend's own list of exceptions names. `bearer`: who bears it, if it says so."""

    epoch: int
    number: int
    result: str
    reason: str
    bearer: str | None


@dataclass(frozen=True, slots=True)
class LayerFile:
    """A snapshot layer in the spool directory, complete and checked page by page; `run` moves it away."""

    sequence: int
    path: str
    sha256: bytes


class LaneSide(Protocol):
    """Implemented by `run`'s services; called through `RemoteLane` by the uplink."""

    async def lenders(self) -> Sequence[LenderState]:
        """All lenders of this lane."""

    async def next_upload(self, entries_max: int, bytes_max: int, *, older: bool = False) -> Upload | None:
        """The first entries after the last acknowledged one, of today's epoch or of an older one; None: there are none,
        or the backend has others and people must decide. One entry is given whatever its size."""

    async def acknowledged(self, epoch: int, through: int, results: Sequence[EntryResult]) -> None:
        """Durable at the backend up to `through`."""

    async def rewind(self, epoch: int, expected: int) -> bool:
        """The backend expects `expected` next. False: the lane cannot go there, which is a fork."""

    async def fork(self, epoch: int, expected: int | None, head: bytes | None) -> None:
        """The backend has other entries than this lane, whose head has this hash; no upload of the epoch follows."""

    async def report(self, lender: str) -> LaneReport:
        """Begin a nonce-bound question for the time, and say how the lane is."""

    async def signed_time(self, lender: str, nonce: bytes, data: bytes) -> bool:
        """The answer, a COSE_Sign1; False: not accepted."""

    async def document(self, kind: DocumentKind, lender: str, data: bytes) -> bool:
        """A key list or a policy; True: it is in force now, or was before."""

    async def introduced(self, introduction: bytes, keys: bytes) -> bool:
        """A lender that the lane was not enrolled with, as the backend's CA introduces it, and its key list; True: it
        is served from now on, or was before."""

    async def exceptions_cursor(self) -> str | None:
        """Where the backend's list of exceptions goes on; None: at its beginning."""

    async def exceptions_found(self, found: Sequence[FoundLater], cursor: str) -> None:
        """A page of that list, kept together with where the next one begins."""

    async def layer_path(self, lender: str, sequence: int) -> str | None:
        """The file of an installed layer; None: this lane does not have it (any more)."""

    async def snapshot_ready(self, lender: str, sequence: int, layers: Sequence[LayerFile]) -> bool:
        """New layers, bottom first; the whole stack ends at `sequence`. True: installed."""

    async def recall(self, lender: str, accounts: Sequence[bytes], reason: str) -> Sequence[bytes]:
        """Give back what is free of these accounts' leases; those of which a sale under way still holds a part."""

    async def decided(self, lender: str, sale_id: str, attempt: int) -> None:
        """There is news of an attempt: whoever waits for it asks at once."""

    async def link(self, state: LinkState, detail: str) -> None:
        """How the link is; told on every change and with every heartbeat."""

    async def access(self, refusal: str | None) -> None:
        """The backend refuses this lane itself (faults.ACCESS_REFUSALS), or serves it (None); told on every change."""
