"""The backend's wire, one method per call, over httpx.

The one rule: whatever the network, a proxy or the backend does, the caller gets a checked answer or a BackendFault that
says whether the request may have taken effect (faults.py). No other exception leaves this file.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx
import zstandard

from agent.uplink import answers
from agent.uplink.access import Access
from agent.uplink.answers import decode_base64url, encode_base64url, encode_json
from agent.uplink.event_stream import PushEvent, push_event
from agent.uplink.faults import BackendFault, NoAnswer, NotReached, Refused
from agent.uplink.http_answer import LIBRARY_FAULTS, Answer, bounded, checked, fault_of, media_type, plain, refusal
from agent.uplink.lane_side import EntryResult, FoundLater, Upload

ANSWER_BYTES_MAX: Final = 4 << 20
SEND_BYTES_PER_S_MIN: Final = 50_000
DOCUMENT_BYTES_MAX: Final = 512 << 10
ZSTD_LEVEL: Final = 3  # measured: 1.8 microseconds an entry, gzip 9.4
JSON_TYPE: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
_JSON: Final = {"Content-Type": JSON_TYPE}


@dataclass(frozen=True, slots=True)
class Versioned:
    """A document with the ETag to ask for a newer one."""

    content: bytes
    etag: str | None


@dataclass(frozen=True, slots=True)
class LayerRef:
    """A layer as the manifest of the stack lists it."""

    sequence: int
    size: int
    sha256: bytes
    url: str


@dataclass(frozen=True, slots=True)
class StackRef:
    """The newest stack of layers for this lane, bottom first."""

    sequence: int
    layers: tuple[LayerRef, ...]
    etag: str | None


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What the backend says about an upload: durable up to `through`, and a result per entry."""

    through: int
    results: tuple[EntryResult, ...]


@dataclass(frozen=True, slots=True)
class Beat:
    """An answer to a heartbeat: the signed time, a COSE_Sign1 that only `run` can judge; the layers (lender, sequence)
    that a restored backend asks for; whether it is recovering; how far it has this lane's journals by epoch (of
    one that is not there it has nothing any more), and which lenders it serves, if it says so."""

    time: bytes
    layers_wanted: tuple[tuple[str, int], ...]
    is_recovering: bool
    stored_through: Mapping[int, int] | None = None
    lenders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A page of exceptions, and where the next one begins."""

    found: tuple[FoundLater, ...]
    cursor: str


class BackendClient:
    """The calls of the wire. `http` brings address, certificates and connect time-out; budgets are in seconds in all.

    Every method raises BackendFault (faults.py) and nothing else. `access` is whether the lane itself is served.
    """

    def __init__(self, http: httpx.AsyncClient, *, transfer_timeout_s: float) -> None:
        self.access = Access()
        self._http = http
        self._transfer_timeout_s = transfer_timeout_s

    async def authorize(self, key: str, body: bytes, budget_s: float) -> dict[str, Any]:
        """POST /v1/authorizations: the decision, a decline included. `body` is sent as it is, each time."""
        headers = {**_JSON, "Idempotency-Key": key}
        answer = await self._ask("POST", "/v1/authorizations", budget_s, headers=headers, content=body)
        return checked(answer, answers.authorization)

    async def inquire(self, lender: str, sale_id: str, attempt: int, budget_s: float) -> dict[str, Any]:
        """GET /v1/authorizations/...: the stored decision; Refused("authorization_unknown") if there is none."""
        path = f"/v1/authorizations/{quote(lender, safe='')}/{quote(sale_id, safe='')}/{attempt}"
        return checked(await self._ask("GET", path, budget_s), answers.authorization)

    async def refund(self, key: str, body: bytes, budget_s: float) -> dict[str, Any]:
        """POST /v1/refunds: a refund of another lane's sale, once for each key."""
        headers = {**_JSON, "Idempotency-Key": key}
        return checked(await self._ask("POST", "/v1/refunds", budget_s, headers=headers, content=body), answers.refund)

    async def settle(self, body: Mapping[str, Any], budget_s: float) -> dict[str, Any]:
        """POST /v1/settlements."""
        content = encode_json(body)
        answer = await self._ask("POST", "/v1/settlements", budget_s, headers=_JSON, content=content)
        return checked(answer, answers.settlement)

    async def heartbeat(self, lender: str, nonce: bytes, facts: Mapping[str, Any], budget_s: float) -> Beat:
        """POST /v1/heartbeat with what the lane says of itself (`lane_side.LaneReport.facts`)."""
        content = encode_json({**facts, "lender": lender, "nonce": encode_base64url(nonce)})
        answer = await self._ask("POST", "/v1/heartbeat", budget_s, headers=_JSON, content=content)
        self.access.served()
        fields = checked(answer, answers.heartbeat)
        wanted = tuple((row["lender"], row["sequence"]) for row in fields["layers_wanted"] or ())
        journals = fields["journals"]
        stored = None if journals is None else {row["epoch"]: row["stored_through"] for row in journals}
        lenders = tuple(fields["lenders"] or ())
        time, recovering = decode_base64url(fields["time"]), bool(fields["recovering"])
        return Beat(time, wanted, recovering, stored, lenders)

    async def lenders(self) -> list[tuple[str, bytes]]:
        """GET /v1/lenders: each lender of this lane, and the CA's introduction of it, which only `run` can judge."""
        fields = checked(await self._ask("GET", "/v1/lenders", self._transfer_timeout_s), answers.lenders)
        return [(row["lender"], decode_base64url(row["introduction"])) for row in fields["lenders"]]

    async def exceptions(self, after: str | None) -> FoundPage:
        """GET /v1/exceptions: what the backend found of this lane's entries, from a cursor of its own on."""
        path = f"/v1/exceptions?after={quote(after, safe='')}" if after else "/v1/exceptions"
        fields = checked(await self._ask("GET", path, self._transfer_timeout_s), answers.exceptions)
        return FoundPage(tuple(map(_found_later, fields["exceptions"])), fields["cursor"])

    async def open_epoch(self, body: Mapping[str, Any], budget_s: float) -> dict[str, Any]:
        """POST /v1/epochs: a new epoch for a lane whose ledger was restored."""
        answer = await self._ask("POST", "/v1/epochs", budget_s, headers=_JSON, content=encode_json(body))
        return checked(answer, answers.epoch)

    async def send_layer(self, lender: str, sequence: int, pieces: AsyncIterator[bytes], size: int) -> None:
        """PUT /v1/snapshot/...: a layer that a restored backend has forgotten, from the lane that has it."""
        path = f"/v1/snapshot/{quote(lender, safe='')}/{sequence}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        budget_s = self._transfer_timeout_s + size / SEND_BYTES_PER_S_MIN
        await self._ask("PUT", path, budget_s, headers=headers, content=pieces)

    async def ca(self) -> str:
        """GET /v1/ca: the certificate of the backend's CA, PEM; only a fingerprint makes it trustworthy."""
        answer = await self._ask("GET", "/v1/ca", self._transfer_timeout_s)
        pem: str = checked(answer, answers.ca)["ca"]
        return pem

    async def enroll(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST /v1/enroll."""
        content = encode_json(body)
        answer = await self._ask("POST", "/v1/enroll", self._transfer_timeout_s, headers=_JSON, content=content)
        return checked(answer, answers.enrollment)

    async def renew(self, csr: bytes) -> dict[str, Any]:
        """POST /v1/certificates: a certificate for another key, PEM; asked with the one in force."""
        content = encode_json({"csr": csr.decode()})
        answer = await self._ask("POST", "/v1/certificates", self._transfer_timeout_s, headers=_JSON, content=content)
        return checked(answer, answers.certificate)

    async def claim(self, text: str, budget_s: float) -> dict[str, Any]:
        """POST /v1/claims: what the QR code of a slip says."""
        answer = await self._ask("POST", "/v1/claims", budget_s, headers=_JSON, content=encode_json({"claim": text}))
        return checked(answer, answers.claim)

    async def journal(self, lane: str, upload: Upload) -> Uploaded:
        """POST /v1/journal, compressed."""
        headers = {**_JSON, "Content-Encoding": "zstd"}
        content = zstandard.compress(_journal_body(lane, upload), ZSTD_LEVEL)
        answer = await self._ask("POST", "/v1/journal", self._transfer_timeout_s, headers=headers, content=content)
        fields = checked(answer, answers.journal)
        results = [EntryResult(row["number"], row["result"], row.get("reason")) for row in fields["results"]]
        return Uploaded(fields["acknowledged_through"], tuple(results))

    async def document(self, kind: str, lender: str, etag: str | None) -> Versioned | None:
        """GET /v1/keys or /v1/policy: the newest version; None: not newer than `etag`."""
        answer = await self._newer(f"/v1/{kind}", lender, etag, DOCUMENT_BYTES_MAX)
        if answer is None:
            return None
        if not answer.content or media_type(answer) != "application/cose":
            raise NoAnswer("The backend sent something else than a signed document.")
        return Versioned(answer.content, answer.headers.get("ETag"))

    async def snapshot(self, lender: str, etag: str | None) -> StackRef | None:
        """GET /v1/snapshot: the stack for this lane; None: not newer than `etag`."""
        answer = await self._newer("/v1/snapshot", lender, etag, ANSWER_BYTES_MAX)
        if answer is None:
            return None
        fields = checked(answer, answers.snapshot)
        layers = [
            LayerRef(row["sequence"], row["size"], bytes.fromhex(row["sha256"]), row["url"]) for row in fields["layers"]
        ]
        return StackRef(fields["sequence"], tuple(layers), answer.headers.get("ETag"))

    async def event_stream(self, after: str) -> AsyncGenerator[bytes, None]:
        """GET /v1/events as server-sent events after the cursor `after` (empty: from now), as they come in pieces.

        How long to wait for a piece is the caller's to say.
        """
        headers = {"Accept": EVENT_STREAM, "Cache-Control": "no-store"} | ({"Last-Event-ID": after} if after else {})
        patient = httpx.Timeout(None, connect=self._http.timeout.connect, pool=self._http.timeout.pool)
        async with self._faults(), self._http.stream("GET", "/v1/events", headers=headers, timeout=patient) as response:
            plain(response)
            if response.status_code != 200 or media_type(response) != EVENT_STREAM:
                raise await self._refusal(response)
            async for piece in response.aiter_bytes():
                yield piece

    async def events(self, after: str, wait_s: int) -> tuple[list[PushEvent], str]:
        """GET /v1/events as a long poll: what is new after the cursor, and the next cursor."""
        query = {"wait_s": str(wait_s)} | ({"after": after} if after else {})
        budget_s = wait_s + self._transfer_timeout_s
        answer = await self._ask("GET", f"/v1/events?{urlencode(query)}", budget_s, headers={"Accept": JSON_TYPE})
        fields = checked(answer, answers.events)
        return [push_event(row) for row in fields["events"]], fields["cursor"]

    async def layer(self, url: str, offset: int) -> AsyncGenerator[tuple[int, bytes], None]:
        """A layer's bytes from `offset` on, as (place in the file, bytes); place 0 again if the server begins anew.

        The time-out counts from piece to piece: a large layer on a thin line may take hours.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self._faults(), self._http.stream("GET", self._own(url), headers=headers) as response:
            at = await self._begins_at(response, offset)
            pieces = response.aiter_bytes()
            while piece := await self._piece(pieces):
                yield at, piece
                at += len(piece)

    async def _begins_at(self, response: httpx.Response, offset: int) -> int:
        plain(response)
        if response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            return offset
        if response.status_code == 200:
            return 0
        raise await self._refusal(response)

    async def _refusal(self, response: httpx.Response) -> BackendFault:
        async with asyncio.timeout(self._transfer_timeout_s):
            content = await bounded(response, ANSWER_BYTES_MAX)
        return self._refused(Answer(response.status_code, response.headers, content))

    async def _piece(self, pieces: AsyncIterator[bytes]) -> bytes:
        async with asyncio.timeout(self._transfer_timeout_s):
            return await anext(pieces, b"")

    def _own(self, url: str) -> httpx.URL:
        """The address of a layer, which must be the backend's own: this process talks to nobody else."""
        base = self._http.base_url
        target = base.join(url)
        if (target.scheme, target.host, target.port) != (base.scheme, base.host, base.port):
            raise NotReached("The backend lists a layer at another host.")
        return target

    async def _newer(self, path: str, lender: str, etag: str | None, bytes_max: int) -> Answer | None:
        headers = {"If-None-Match": etag} if etag else {}
        path = f"{path}?lender={quote(lender, safe='')}"
        answer = await self._ask("GET", path, self._transfer_timeout_s, headers=headers, bytes_max=bytes_max)
        return None if answer.status == 304 else answer

    async def _ask(
        self,
        method: str,
        path: str,
        budget_s: float,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> Answer:
        """Send a request and read the whole answer; returns 200, 204 and 304 only."""
        async with (
            self._faults(),
            asyncio.timeout(budget_s),
            self._http.stream(method, path, headers=headers, content=content) as response,
        ):
            answer = Answer(response.status_code, response.headers, await bounded(response, bytes_max))
        if answer.status not in (200, 204, 304):
            raise self._refused(answer)
        return answer

    def _refused(self, answer: Answer) -> BackendFault:
        fault = refusal(answer)
        if isinstance(fault, Refused):
            self.access.refused(fault.problem)
        return fault

    @asynccontextmanager
    async def _faults(self) -> AsyncIterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise NoAnswer("The backend did not answer in time.") from error
        except LIBRARY_FAULTS as error:
            raise fault_of(error) from error


def _found_later(row: Mapping[str, Any]) -> FoundLater:
    why = row.get("reason") or row["result"]
    return FoundLater(row["epoch"], row["number"], row["result"], why, row.get("bearer"))


def _journal_body(lane: str, upload: Upload) -> bytes:
    return encode_json(
        {
            "lane": lane,
            "epoch": upload.epoch,
            "first": upload.first,
            "entries": [encode_base64url(entry) for entry in upload.entries],
            "signature": encode_base64url(upload.signature),
        }
    )
