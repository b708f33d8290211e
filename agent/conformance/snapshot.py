"""The snapshot of a suite's lane: fetched, checked with the lender's keys, and read for leases.

The one rule: nothing of a layer counts before its signature, its digests and its place in the stack have been checked.
"""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass
from typing import Any

from agent.conformance.exchange import Exchange
from agent.conformance.lane import Lane, Lease
from agent.core import cbor, trust
from agent.core.cose import PublicKey
from agent.core.journal import Kind
from agent.core.snapshot_layer import SnapshotError
from agent.core.snapshot_reader import Stack, open_layer, trusting
from agent.core.trust import KeyList, TrustError


@dataclass(frozen=True, slots=True)
class Installed:
    """A stack in force: its sequence, the bytes of its layers (bottom first), and what it says of accounts."""

    sequence: int
    files: tuple[bytes, ...]
    stack: Stack

    def lease(self, account: bytes, lane: Lane) -> Lease | None:
        """What it grants the lane of the account in its present epoch."""
        found, head = self.stack.lookup(account), lane.head
        if found is None or found.record.removed or found.manifest.lease_epoch != head.epoch:
            return None
        record, (of_epoch, number) = found.record, found.manifest.applied_through.get(head.lane, (0, 0))
        applied_number = number if of_epoch == head.epoch else 0
        return Lease(account, head.epoch, record.allowance_minor, record.valid_until_s, applied_number)


def from_b64url(text: str) -> bytes:
    """base64url without padding (RFC 4648 section 5). Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def root_of(lane: Lane, lender: str) -> PublicKey:
    """The root that enrollment told of the lender."""
    row = next(row for row in lane.answer["lenders"] if row["lender"] == lender)
    return PublicKey.from_cose_key(cbor.decode(from_b64url(row["root"]), deterministic=False))


def key_list(lane: Lane, lender: str) -> KeyList:
    """The lender's key list as served now, verified with the root that enrollment told. Raises Broken."""
    return checked_keys(lane, lender, lane.line.get(f"/v1/keys?lender={lender}").is_(200))


def checked_keys(lane: Lane, lender: str, exchange: Exchange) -> KeyList:
    try:
        keys = trust.verify_key_list(exchange.content, root_of(lane, lender), version_min=1)
    except TrustError as error:
        exchange.broken(f"a key list that verifies with the pinned root ({error.reason}: {error})")
    exchange.demand(keys.lender == lender, f"the key list of lender {lender}")
    return keys


def listing(exchange: Exchange) -> list[dict[str, Any]]:
    """The rows of the answer to GET /v1/snapshot. Raises Broken."""
    fields = exchange.ok()
    rows = fields.get("layers")
    is_list = isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
    exchange.demand(is_list, "layers: at least one row")
    found: list[dict[str, Any]] = rows or []
    for row in found:
        whole = all(type(row.get(name)) is int for name in ("sequence", "size")) and type(row.get("base")) is bool
        exchange.demand(whole, "in each layer: sequence, base, size, sha256, url")
    return found


def newest(lane: Lane, lender: str) -> int:
    """The sequence of the lane's newest layer, installed or not."""
    sequence: int = listing(lane.line.get(f"/v1/snapshot?lender={lender}"))[-1]["sequence"]
    return sequence


def fetch(lane: Lane, lender: str, keys: KeyList, *, above: int = 0) -> Installed | None:
    """The lane's stack, if it is newer than ``above``; None while there is none. Raises Broken for a wrong one."""
    exchange = lane.line.get(f"/v1/snapshot?lender={lender}")
    if exchange.status == 404:
        return None
    rows = listing(exchange)
    if rows[-1]["sequence"] <= above:
        return None
    files = [_file(lane, row) for row in rows]
    try:
        layers = [open_layer(data, trusting(keys, int(time.time()))) for data in files]
        stack = Stack(layers[::-1])
    except SnapshotError as error:
        exchange.broken(f"a stack of layers that verify ({error.reason}: {error})")
    return Installed(rows[-1]["sequence"], tuple(files), stack)


def _file(lane: Lane, row: dict[str, Any]) -> bytes:
    exchange = lane.line.get(row["url"]).is_(200)
    exchange.demand(len(exchange.content) == row["size"], f"a file of {row['size']} bytes, as listed")
    exchange.demand(hashlib.sha256(exchange.content).hexdigest() == row["sha256"], f"SHA-256 {row['sha256']}")
    return exchange.content


def journal_installed(lane: Lane, lender: str, installed: Installed) -> None:
    """The entry that says which snapshot is in force; its digest is that of the newest layer's manifest."""
    digest = installed.stack.layers[0].digest
    lane.write(Kind.SNAPSHOT_INSTALLED, {"sequence": installed.sequence, "digest": digest}, lender=lender)
