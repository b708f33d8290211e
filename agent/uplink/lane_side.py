"""What the uplink asks of `run`, as types only: the lane's side of the private channel.

The one rule: the uplink decides nothing for the lane. It brings bytes; `run` judges signatures, versions, time and
positions in the journal, and its answers are final.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

UPLOAD_BYTES_MAX: Final = 4 << 20
"""Entries of one upload in all; base64 makes a third more of them, and a message of the channel holds 8 MiB."""


class LinkState(StrEnum):
    """The link as a sale meets it. `REFUSED`: the backend answers, but refuses this lane; the detail says why."""

    UP = "up"
    DOWN = "down"
    REFUSED = "refused"


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
class TimeRequest:
    """What a heartbeat carries: 16 random bytes that the signed time must name, and the entries still to be sent."""

    nonce: bytes
    queue_depth: int


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

    async def next_upload(self, entries_max: int, bytes_max: int) -> Upload | None:
        """The first entries after the last acknowledged one; None: all are. One entry is given whatever its size."""

    async def acknowledged(self, epoch: int, through: int, results: Sequence[EntryResult]) -> None:
        """Durable at the backend up to `through`."""

    async def rewind(self, epoch: int, expected: int) -> bool:
        """The backend expects `expected` next. False: the lane cannot go there, which is a fork."""

    async def fork(self, epoch: int, expected: int | None, head: bytes | None) -> None:
        """The backend has other entries than this lane; nothing is uploaded until `resume_upload`."""

    async def time_request(self, lender: str) -> TimeRequest:
        """Begin a nonce-bound question for the time."""

    async def signed_time(self, lender: str, nonce: bytes, data: bytes) -> bool:
        """The answer, a COSE_Sign1; False: not accepted."""

    async def document(self, kind: DocumentKind, lender: str, data: bytes) -> bool:
        """A key list or a policy; True: it is in force now, or was before."""

    async def snapshot_ready(self, lender: str, sequence: int, layers: Sequence[LayerFile]) -> bool:
        """New layers, bottom first; the whole stack ends at `sequence`. True: installed."""

    async def recall(self, lender: str, accounts: Sequence[bytes], reason: str) -> Sequence[bytes]:
        """Give back what is free of these accounts' leases; those of which a sale under way still holds a part."""

    async def link(self, state: LinkState, detail: str) -> None:
        """How the link is; told on every change and with every heartbeat."""

    async def access(self, refusal: str | None) -> None:
        """The backend refuses this lane itself (faults.ACCESS_REFUSALS), or serves it (None); told on every change."""
