"""What this lane holds of each lender: the pinned root, the key list, the policy, the installed snapshot.

The one rule: a document comes into force only verified, never goes backwards, and is journaled when it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent.core import cbor, trust
from agent.core.cose import CoseError, PublicKey
from agent.core.journal import Draft, Kind
from agent.core.lane_report import InForce
from agent.core.policy import Policy, PolicyError, verify_policy
from agent.core.snapshot_layer import SnapshotError
from agent.core.snapshot_reader import Stack, Verify, trusting
from agent.core.trust import KeyList
from agent.core.trusted_time import ClockReading
from agent.errors import UntrustedDocument
from agent.ports import Ledger, SnapshotStore
from agent.services.introductions import Introducer, Introductions
from agent.services.timekeeping import LaneClock

KEYS: Final = "keys"
POLICY: Final = "policy"
SNAPSHOT: Final = "snapshot"
_DOCUMENT_OF: Final = {Kind.KEYS_INSTALLED: KEYS, Kind.POLICY_INSTALLED: POLICY}


@dataclass(slots=True)
class Lender:
    """One lender as this lane knows it. ``faults`` says per document kind why the newest one is not in force.

    ``is_damaged``: a page of the installed stack did not read back as signed; every layer is to be fetched again.
    """

    lender: str
    name: str
    root: PublicKey
    keys: trust.KeyList
    signed_keys: bytes
    policy: Policy | None = None
    stack: Stack | None = None
    is_damaged: bool = False
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def sound_layers(self) -> tuple[int, ...]:
        """Sequences of the installed layers, bottom first; none of a damaged stack: it is replaced as a whole."""
        if self.stack is None or self.is_damaged:
            return ()
        return tuple(layer.manifest.sequence for layer in reversed(self.stack.layers))

    def damaged(self, error: SnapshotError) -> None:
        """A lookup met a page that is not the signed one."""
        self.is_damaged = True
        self.faults[SNAPSHOT] = str(error)

    @property
    def snapshot_sequence(self) -> int:
        return self.stack.newest.sequence if self.stack else 0

    @property
    def in_force(self) -> InForce:
        """What the backend is told that this lane has of the lender."""
        digest = self.stack.layers[0].digest if self.stack else b""
        return InForce(self.snapshot_sequence, digest, self.keys.version, self.policy.version if self.policy else 0)


@dataclass(frozen=True, slots=True)
class EnrolledLender:
    """What enrollment or an introduction pinned: the first root, which only a change that it signed can follow, and the
    first key list."""

    lender: str
    name: str
    root: PublicKey
    signed_keys: bytes


class Lenders:
    """All lenders of the lane, with their documents in force. ``introducer``: None if none may join.

    ``is_training``: all of them lend play money; none of them does otherwise.
    """

    def __init__(
        self,
        lane: str,
        enrolled: Iterable[EnrolledLender],
        ledger: Ledger,
        snapshots: SnapshotStore,
        clock: LaneClock,
        *,
        introducer: Introducer | None = None,
        is_training: bool = False,
    ) -> None:
        self.is_training = is_training
        self._lane, self._introductions = lane, Introductions(introducer, ledger)
        self._ledger, self._snapshots, self._clock = ledger, snapshots, clock
        self._by_id = {item.lender: self._load(item) for item in enrolled}
        for said in self._introductions.kept():
            if said.lender not in self._by_id:
                self._by_id[said.lender] = self._load(EnrolledLender(said.lender, said.name, said.root, b""))
        assert self._by_id, "enrollment pins at least one lender"

    def all(self) -> tuple[Lender, ...]:
        return tuple(self._by_id.values())

    @property
    def first(self) -> Lender:
        """The lender under whose name a refusal is recorded that cannot be attributed to any."""
        return next(iter(self._by_id.values()))

    def get(self, lender: str) -> Lender | None:
        return self._by_id.get(lender)

    @property
    def trust(self) -> Mapping[str, trust.KeyList]:
        return {lender.lender: lender.keys for lender in self._by_id.values()}

    def introduce(self, introduction: bytes, signed_keys: bytes) -> bool:
        """Serve a lender that joined after enrollment. True: it is served, or already was. Raises UntrustedDocument.

        Its keys are durable before its introduction: a lender without keys is never met at a start.
        """
        said = self._introductions.read(introduction)
        if said.lender in self._by_id:
            return True
        try:
            keys = self._of_this_kind(trust.verify_key_list(signed_keys, said.root, version_min=1))
            root = trust.root_of(signed_keys, said.root)
            if keys.lender != said.lender:
                raise trust.TrustError("other_lender", f"The key list is one of {keys.lender}.")
        except trust.TrustError as error:
            raise UntrustedDocument(f"the keys of {said.lender} are refused: {error}") from error
        lender = Lender(said.lender, said.name, root, keys, signed_keys)
        self._store(lender, Kind.KEYS_INSTALLED, keys.version, signed_keys, kept=_pinned(root, signed_keys))
        self._introductions.keep(said, introduction)
        self._by_id[said.lender] = lender
        return True

    def install_keys(self, lender_id: str, data: bytes) -> bool:
        """Put a key list in force. True: it is, or already was. Raises UntrustedDocument."""
        lender = self._known(lender_id)
        if data == lender.signed_keys:
            return True
        try:
            keys = self._of_this_kind(trust.verify_key_list(data, lender.root, version_min=lender.keys.version + 1))
            root = trust.root_of(data, lender.root)
            if keys.lender != lender.lender:
                raise trust.TrustError("other_lender", f"The key list is one of {keys.lender}.")
        except trust.TrustError as error:
            raise self._refused(lender, KEYS, error) from error
        self._store(lender, Kind.KEYS_INSTALLED, keys.version, data, kept=_pinned(root, data))
        self._clock.note_document(lender.lender, keys.issued_at)
        lender.root, lender.keys, lender.signed_keys = root, keys, data
        self._judge_again(lender)
        return True

    def install_policy(self, lender_id: str, data: bytes) -> bool:
        """Put a policy in force. True: it is, or already was. Raises UntrustedDocument."""
        lender = self._known(lender_id)
        stored = self._ledger.document(lender.lender, POLICY)
        if stored and stored[1] == data:
            self.reload(lender_id)
            return lender.policy is not None
        version_min = stored[0] + 1 if stored else 1
        try:
            policy = verify_policy(data, lender.keys, at=self._reading(lender).now_s, version_min=version_min)
        except PolicyError as error:
            raise self._refused(lender, POLICY, error) from error
        self._ledger.keep_policy(lender.lender, policy.version, hashlib.sha256(data).digest(), data)
        self._store(lender, Kind.POLICY_INSTALLED, policy.version, data)
        self._clock.note_document(lender.lender, policy.issued_at)
        lender.policy = policy
        return True

    def install_snapshot(self, lender_id: str, layers: Iterable[tuple[int, str]]) -> bool:
        """Install checked layer files ``(sequence, path)``, bottom first. Raises UntrustedDocument.

        The stack is durable before its entry is journaled: what the backend hears of is never taken back.
        """
        lender = self._known(lender_id)
        verify = self._own_snapshots(lender)
        fresh = set()
        try:
            for sequence, path in layers:
                lender.stack = self._snapshots.install_ready(lender.lender, path, sequence, verify)
                fresh.add(sequence)
        except SnapshotError as error:
            raise self._refused(lender, SNAPSHOT, error) from error
        if lender.stack and fresh >= {layer.manifest.sequence for layer in lender.stack.layers}:
            lender.is_damaged = False
        self._journal_snapshot(lender)
        return True

    def reload(self, lender_id: str) -> None:
        """Try again what could not be read at the start: a wrong clock makes good keys look expired."""
        lender = self._known(lender_id)
        if lender.policy is None:
            self._load_policy(lender)
        if lender.stack is None:
            self._load_snapshot(lender)

    def _judge_again(self, lender: Lender) -> None:
        """What a key signed that is revoked by now does not count any longer; what a fresh one signed may count now."""
        lender.policy, lender.stack = None, None
        self._load_policy(lender)
        self._load_snapshot(lender)

    def _load(self, item: EnrolledLender) -> Lender:
        stored = self._ledger.document(item.lender, KEYS)
        try:
            root, data = _unpinned(stored[1], item.root) if stored else (item.root, item.signed_keys)
            keys = self._of_this_kind(trust.verify_key_list(data, root, version_min=1))
            root = trust.root_of(data, root)
        except (trust.TrustError, cbor.CborError, CoseError) as error:
            raise UntrustedDocument(f"the stored keys of {item.lender} do not verify: {error}") from error
        lender = Lender(item.lender, item.name, root, keys, data)
        self._load_policy(lender)
        self._load_snapshot(lender)
        return lender

    def _load_policy(self, lender: Lender) -> None:
        stored = self._ledger.document(lender.lender, POLICY)
        if stored is None:
            return
        try:
            lender.policy = verify_policy(stored[1], lender.keys, at=self._reading(lender).now_s)
        except PolicyError as error:
            self._refused(lender, POLICY, error)
        else:
            lender.faults.pop(POLICY, None)

    def _load_snapshot(self, lender: Lender) -> None:
        known = self._ledger.document(lender.lender, SNAPSHOT)
        verify = self._own_snapshots(lender)
        try:
            lender.stack = self._snapshots.open_stack(lender.lender, verify, known[0] if known else 0)
        except SnapshotError as error:
            self._refused(lender, SNAPSHOT, error)
            return
        self._journal_snapshot(lender)

    def _own_snapshots(self, lender: Lender) -> Verify:
        """The check of a manifest: signed by this lender, and made for this very lane."""
        signed_by_lender = trusting(lender.keys, self._reading(lender).now_s)

        def verify(data: bytes) -> Mapping[Any, object]:
            payload = signed_by_lender(data)
            if payload.get("lane") != self._lane:
                raise trust.TrustError("other_lane", f"The snapshot was made for lane {payload.get('lane')}.")
            return payload

        return verify

    def _journal_snapshot(self, lender: Lender) -> None:
        """Journal the installed sequence unless it is already: a crash between file and entry is mended here."""
        known = self._ledger.document(lender.lender, SNAPSHOT)
        if not lender.is_damaged:
            lender.faults.pop(SNAPSHOT, None)
        if lender.stack is None or (known and known[0] >= lender.snapshot_sequence) or not self._ledger.head.epoch:
            return
        newest = lender.stack.newest
        body = {"sequence": newest.sequence, "digest": newest.digest}
        self._ledger.record([Draft(Kind.SNAPSHOT_INSTALLED, body, lender.lender)], self._reading(lender))
        self._ledger.store_document(lender.lender, SNAPSHOT, newest.sequence, newest.digest)
        self._clock.note_document(lender.lender, newest.built_at)

    def _store(self, lender: Lender, entry: Kind, version: int, data: bytes, *, kept: bytes | None = None) -> None:
        """Journal that a document comes into force, and keep it (``kept``: in the form in which it is kept)."""
        body = {"version": version, "digest": hashlib.sha256(data).digest()}
        self._ledger.record([Draft(entry, body, lender.lender)], self._reading(lender))
        kind = _DOCUMENT_OF[entry]
        self._ledger.store_document(lender.lender, kind, version, kept or data)
        lender.faults.pop(kind, None)

    def _of_this_kind(self, keys: KeyList) -> KeyList:
        """Training and real money do not mix. Raises TrustError."""
        if keys.is_training != self.is_training:
            kind = "one for training" if keys.is_training else "a real one, and this is a training counter"
            raise trust.TrustError("other_kind", f"The lender {keys.lender} is {kind}.")
        return keys

    def _reading(self, lender: Lender) -> ClockReading:
        return self._clock.read(lender.lender)

    def _known(self, lender_id: str) -> Lender:
        lender = self._by_id.get(lender_id)
        if lender is None:
            raise UntrustedDocument(f"{lender_id} is not a lender of this lane")
        return lender

    def _refused(self, lender: Lender, kind: str, error: Exception) -> UntrustedDocument:
        lender.faults[kind] = str(error)
        return UntrustedDocument(f"the {kind} of {lender.lender} is refused: {error}")


def _pinned(root: PublicKey, signed_keys: bytes) -> bytes:
    """A key list and the root that signed it as one document: kept apart, a power cut could part them."""
    return cbor.encode([root.to_cose_key(), signed_keys])


def _unpinned(data: bytes, enrolled_root: PublicKey) -> tuple[PublicKey, bytes]:
    """The root and the key list of such a document; a list that was kept alone is of the enrolled root.

    Raises CborError and CoseError.
    """
    match cbor.decode(data, deterministic=False):
        case [dict() as root, bytes() as signed_keys]:
            return PublicKey.from_cose_key(root), signed_keys
    return enrolled_root, data
