"""`LaneSide` carried over the channel: the handlers that `run` offers, and the proxy by which the uplink calls them.

The one rule: both directions of a message stand in this file side by side, and whatever does not have exactly the
agreed shape is refused here, before a service or a loop sees it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from agent.core.cbor import Value
from agent.errors import UplinkError
from agent.uplink.answers import plain_fields
from agent.uplink.channel import Channel, Handler
from agent.uplink.lane_side import (
    DocumentKind,
    EntryResult,
    FoundLater,
    LaneReport,
    LaneSide,
    LayerFile,
    LenderState,
    LinkState,
    Upload,
)

LANE_CALL_TIMEOUT_S: Final = 30.0
"""`run` answers in milliseconds; this ends the wait for one that hangs. Its watchdog restarts it before that."""


class Misunderstood(UplinkError):
    """The two processes do not agree on the shape of a message: they are of different versions."""

    code = "uplink_misunderstood"
    hint = "Restart both services so that they run the same version: `systemctl restart counterfoil\\*`."


def lane_handlers(lane: LaneSide) -> Mapping[str, Handler]:
    """The calls that `run` answers, by kind."""
    calls = _LaneHandlers(lane)
    return {
        "lenders": calls.lenders,
        "next_upload": calls.next_upload,
        "acknowledged": calls.acknowledged,
        "rewind": calls.rewind,
        "fork": calls.fork,
        "report": calls.report,
        "signed_time": calls.signed_time,
        "document": calls.document,
        "introduced": calls.introduced,
        "exceptions_cursor": calls.exceptions_cursor,
        "exceptions_found": calls.exceptions_found,
        "layer_path": calls.layer_path,
        "snapshot_ready": calls.snapshot_ready,
        "recall": calls.recall,
        "decided": calls.decided,
        "link": calls.link,
        "access": calls.access,
    }


class _LaneHandlers:
    """Takes message bodies apart and calls the lane."""

    def __init__(self, lane: LaneSide) -> None:
        self._lane = lane

    async def lenders(self, _: Value) -> Value:
        states = await self._lane.lenders()
        return [[state.lender, state.root, state.keys, list(state.layers), state.now_s] for state in states]

    async def next_upload(self, body: Value) -> Value:
        match body:
            case [int(entries_max), int(bytes_max), bool(older)]:
                upload = await self._lane.next_upload(entries_max, bytes_max, older=older)
                if upload is None:
                    return None
                return [upload.epoch, upload.first, list(upload.entries), upload.signature]
        raise Misunderstood("next_upload")

    async def acknowledged(self, body: Value) -> Value:
        match body:
            case [int(epoch), int(through), list(results)]:
                await self._lane.acknowledged(epoch, through, [_result(result) for result in results])
                return None
        raise Misunderstood("acknowledged")

    async def rewind(self, body: Value) -> Value:
        match body:
            case [int(epoch), int(expected)]:
                return await self._lane.rewind(epoch, expected)
        raise Misunderstood("rewind")

    async def fork(self, body: Value) -> Value:
        match body:
            case [int(epoch), (int() | None) as expected, (bytes() | None) as head]:
                await self._lane.fork(epoch, expected, head)
                return None
        raise Misunderstood("fork")

    async def report(self, body: Value) -> Value:
        match body:
            case str(lender):
                report = await self._lane.report(lender)
                acknowledged: list[Value] = [[epoch, number] for epoch, number in report.acknowledged.items()]
                return [report.nonce, plain_fields(report.facts), acknowledged]
        raise Misunderstood("report")

    async def signed_time(self, body: Value) -> Value:
        match body:
            case [str(lender), bytes(nonce), bytes(data)]:
                return await self._lane.signed_time(lender, nonce, data)
        raise Misunderstood("signed_time")

    async def document(self, body: Value) -> Value:
        match body:
            case [("keys" | "policy") as kind, str(lender), bytes(data)]:
                return await self._lane.document(DocumentKind(kind), lender, data)
        raise Misunderstood("document")

    async def introduced(self, body: Value) -> Value:
        match body:
            case [bytes(introduction), bytes(keys)]:
                return await self._lane.introduced(introduction, keys)
        raise Misunderstood("introduced")

    async def exceptions_cursor(self, _: Value) -> Value:
        return await self._lane.exceptions_cursor()

    async def exceptions_found(self, body: Value) -> Value:
        match body:
            case [list(found), str(cursor)]:
                await self._lane.exceptions_found([_found_later(row) for row in found], cursor)
                return None
        raise Misunderstood("exceptions_found")

    async def layer_path(self, body: Value) -> Value:
        match body:
            case [str(lender), int(sequence)]:
                return await self._lane.layer_path(lender, sequence)
        raise Misunderstood("layer_path")

    async def snapshot_ready(self, body: Value) -> Value:
        match body:
            case [str(lender), int(sequence), list(layers)]:
                return await self._lane.snapshot_ready(lender, sequence, [_layer_file(layer) for layer in layers])
        raise Misunderstood("snapshot_ready")

    async def recall(self, body: Value) -> Value:
        match body:
            case [str(lender), list(accounts), str(reason)]:
                return list(await self._lane.recall(lender, [_bytes(account) for account in accounts], reason))
        raise Misunderstood("recall")

    async def decided(self, body: Value) -> Value:
        match body:
            case [str(lender), str(sale_id), int(attempt)]:
                await self._lane.decided(lender, sale_id, attempt)
                return None
        raise Misunderstood("decided")

    async def link(self, body: Value) -> Value:
        match body:
            case [("up" | "down" | "refused" | "recovering") as state, str(detail)]:
                await self._lane.link(LinkState(state), detail)
                return None
        raise Misunderstood("link")

    async def access(self, body: Value) -> Value:
        match body:
            case str() | None:
                await self._lane.access(body)
                return None
        raise Misunderstood("access")


class RemoteLane:
    """The lane as the uplink sees it: `LaneSide`, each method a call over the channel.

    Every method raises UplinkUnavailable, NoReply, CallFailed (channel.py) or Misunderstood.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def _call(self, kind: str, body: Value = None) -> Value:
        return await self._channel.call(kind, body, LANE_CALL_TIMEOUT_S)

    async def _asks(self, kind: str, body: Value) -> bool:
        answer = await self._call(kind, body)
        if not isinstance(answer, bool):
            raise Misunderstood(kind)
        return answer

    async def lenders(self) -> Sequence[LenderState]:
        states = await self._call("lenders")
        if not isinstance(states, list):
            raise Misunderstood("lenders")
        return [_lender_state(state) for state in states]

    async def next_upload(self, entries_max: int, bytes_max: int, *, older: bool = False) -> Upload | None:
        match await self._call("next_upload", [entries_max, bytes_max, older]):
            case None:
                return None
            case [int(epoch), int(first), list(entries), bytes(signature)]:
                if entries:
                    return Upload(epoch, first, tuple(map(_bytes, entries)), signature)
        raise Misunderstood("next_upload")

    async def acknowledged(self, epoch: int, through: int, results: Sequence[EntryResult]) -> None:
        rows: list[Value] = [[result.number, result.result, result.reason] for result in results]
        await self._call("acknowledged", [epoch, through, rows])

    async def rewind(self, epoch: int, expected: int) -> bool:
        return await self._asks("rewind", [epoch, expected])

    async def fork(self, epoch: int, expected: int | None, head: bytes | None) -> None:
        await self._call("fork", [epoch, expected, head])

    async def report(self, lender: str) -> LaneReport:
        match await self._call("report", lender):
            case [bytes(nonce), dict(facts), list(acknowledged)]:
                named = {str(name): fact for name, fact in facts.items()}
                return LaneReport(nonce, named, dict(_count_of_epoch(row) for row in acknowledged))
        raise Misunderstood("report")

    async def signed_time(self, lender: str, nonce: bytes, data: bytes) -> bool:
        return await self._asks("signed_time", [lender, nonce, data])

    async def document(self, kind: DocumentKind, lender: str, data: bytes) -> bool:
        return await self._asks("document", [str(kind), lender, data])

    async def introduced(self, introduction: bytes, keys: bytes) -> bool:
        return await self._asks("introduced", [introduction, keys])

    async def exceptions_cursor(self) -> str | None:
        match await self._call("exceptions_cursor"):
            case (str() | None) as cursor:
                return cursor
        raise Misunderstood("exceptions_cursor")

    async def exceptions_found(self, found: Sequence[FoundLater], cursor: str) -> None:
        rows: list[Value] = [[row.epoch, row.number, row.result, row.reason, row.bearer] for row in found]
        await self._call("exceptions_found", [rows, cursor])

    async def layer_path(self, lender: str, sequence: int) -> str | None:
        match await self._call("layer_path", [lender, sequence]):
            case (str() | None) as path:
                return path
        raise Misunderstood("layer_path")

    async def snapshot_ready(self, lender: str, sequence: int, layers: Sequence[LayerFile]) -> bool:
        rows: list[Value] = [[layer.sequence, layer.path, layer.sha256] for layer in layers]
        return await self._asks("snapshot_ready", [lender, sequence, rows])

    async def recall(self, lender: str, accounts: Sequence[bytes], reason: str) -> Sequence[bytes]:
        match await self._call("recall", [lender, list(accounts), reason]):
            case list(left):
                return [_bytes(account) for account in left]
        raise Misunderstood("recall")

    async def decided(self, lender: str, sale_id: str, attempt: int) -> None:
        await self._call("decided", [lender, sale_id, attempt])

    async def link(self, state: LinkState, detail: str) -> None:
        await self._call("link", [str(state), detail])

    async def access(self, refusal: str | None) -> None:
        await self._call("access", refusal)


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise Misunderstood("an entry")
    return value


def _int(value: Value) -> int:
    if not isinstance(value, int):
        raise Misunderstood("a number")
    return value


def _result(value: Value) -> EntryResult:
    match value:
        case [int(number), str(result), (str() | None) as reason]:
            return EntryResult(number, result, reason)
    raise Misunderstood("the result of an entry")


def _found_later(value: Value) -> FoundLater:
    match value:
        case [int(epoch), int(number), str(result), str(reason), (str() | None) as bearer]:
            return FoundLater(epoch, number, result, reason, bearer)
    raise Misunderstood("an exception")


def _layer_file(value: Value) -> LayerFile:
    match value:
        case [int(sequence), str(path), bytes(sha256)]:
            return LayerFile(sequence, path, sha256)
    raise Misunderstood("a layer")


def _count_of_epoch(row: Value) -> tuple[int, int]:
    match row:
        case [int(epoch), int(number)]:
            return epoch, number
    raise Misunderstood("report")


def _lender_state(value: Value) -> LenderState:
    match value:
        case [str(lender), bytes(root), bytes(keys), list(layers), int(now_s)]:
            return LenderState(lender, root, keys, tuple(map(_int, layers)), now_s)
    raise Misunderstood("a lender")
