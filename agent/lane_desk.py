"""The lane's desk towards the uplink process: each thing that the uplink may ask is one line to a service.

The one rule: it knows the lane and the names of the channel, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.core import cbor
from agent.core.journal import Position
from agent.lane import Lane
from agent.ports import QueueException
from agent.uplink.lane_side import (
    DocumentKind,
    EntryResult,
    FoundLater,
    LaneReport,
    LayerFile,
    LenderState,
    LinkState,
    Upload,
)


class LaneDesk:
    """What the uplink process may ask of a lane: ``uplink.lane_side.LaneSide`` over the services."""

    def __init__(self, lane: Lane | None = None) -> None:
        """Lane and channel need each other: the lane may come later by ``serve``, before anybody asks."""
        self.link_detail = ""
        if lane is not None:
            self.serve(lane)

    def serve(self, lane: Lane) -> None:
        self._lane = lane

    async def lenders(self) -> Sequence[LenderState]:
        return [
            LenderState(
                lender.lender,
                cbor.encode(lender.root.to_cose_key()),
                lender.signed_keys,
                lender.sound_layers,
                self._lane.clock.read(lender.lender).now_s,
            )
            for lender in self._lane.lenders.all()
        ]

    async def next_upload(self, entries_max: int, bytes_max: int, *, older: bool = False) -> Upload | None:
        self._lane.leases.ask_for_more()
        upload = self._lane.forwarding.next_upload(entries_max, bytes_max, older=older)
        return Upload(upload.epoch, upload.first, upload.entries, upload.signature) if upload else None

    async def acknowledged(self, epoch: int, through: int, results: Sequence[EntryResult]) -> None:
        rows = [(result.number, result.result, result.reason) for result in results]
        self._lane.forwarding.acknowledged(epoch, through, rows)

    async def rewind(self, epoch: int, expected: int) -> bool:
        return self._lane.forwarding.rewind(epoch, expected)

    async def fork(self, epoch: int, expected: int | None, head: bytes | None) -> None:
        self._lane.forwarding.forked(epoch, expected, head)

    async def report(self, lender: str) -> LaneReport:
        nonce = self._lane.forwarding.ask_time(lender)
        return LaneReport(nonce, self._lane.report(lender, nonce), self._lane.forwarding.acknowledged_by_epoch)

    async def signed_time(self, lender: str, nonce: bytes, data: bytes) -> bool:
        return self._lane.forwarding.signed_time(lender, nonce, data)

    async def document(self, kind: DocumentKind, lender: str, data: bytes) -> bool:
        if kind is DocumentKind.KEYS:
            return self._lane.lenders.install_keys(lender, data)
        return self._lane.lenders.install_policy(lender, data)

    async def introduced(self, introduction: bytes, keys: bytes) -> bool:
        return self._lane.lenders.introduce(introduction, keys)

    async def exceptions_cursor(self) -> str | None:
        return self._lane.forwarding.exceptions_cursor

    async def exceptions_found(self, found: Sequence[FoundLater], cursor: str) -> None:
        rows = [QueueException(Position(row.epoch, row.number), row.result, row.reason, row.bearer) for row in found]
        self._lane.forwarding.found_later(rows, cursor)

    async def layer_path(self, lender: str, sequence: int) -> str | None:
        return self._lane.snapshots.layer_path(lender, sequence)

    async def snapshot_ready(self, lender: str, sequence: int, layers: Sequence[LayerFile]) -> bool:
        del sequence  # the last layer's, and each layer is checked against its own
        installed = self._lane.lenders.install_snapshot(lender, [(layer.sequence, layer.path) for layer in layers])
        self._lane.backend.poke()  # that it is installed frees what older layers granted (lease rule 2)
        return installed

    async def recall(self, lender: str, accounts: Sequence[bytes], reason: str) -> Sequence[bytes]:
        return await self._lane.leases.recalled(lender, accounts, reason)

    async def decided(self, lender: str, sale_id: str, attempt: int) -> None:
        self._lane.checkout.wallets.told(lender, sale_id, attempt)

    async def link(self, state: LinkState, detail: str) -> None:
        self.link_detail, self._lane.link = detail, state
        self._lane.events.publish("link", {"state": str(state), "detail": detail})

    async def access(self, refusal: str | None) -> None:
        self._lane.standing.told(refusal)
