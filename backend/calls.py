"""The calls of the lane protocol, one method each. Thin: read, call, write.

The one rule: the lane is who its certificate says (``scope["counterfoil.lane"]``), never who a body says.
"""

from __future__ import annotations

import asyncio
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from backend import events, lane_state, snapshots
from backend.bodies import LAYER_BYTES_MAX, body, count_in_path, decompressed, json_answer, ranged, versioned
from backend.compose import AT_ONCE_ENTRIES_MAX, Backend
from backend.holds import Attempt
from backend.identity import LaneName
from backend.ingest import Upload
from backend.pace import Pace
from backend.problems import Problem
from backend.schema import SnapshotLayer
from backend.wire import (
    AuthorizationRequest,
    Enrollment,
    Heartbeat,
    JournalUpload,
    NewEpoch,
    RefundRequest,
    Renewal,
    SettlementRequest,
    SlipClaimed,
    from_b64url,
    read,
    write,
)

LANE_SCOPE: Final = "counterfoil.lane"
COSE: Final = "application/cose"


class Calls:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.pace = Pace()
        self.lane_came = asyncio.Event()
        self.hub = events.Hub(lambda lanes: lane_state.look(lanes, backend.lenders))

    async def ca(self, _request: Request) -> Response:
        return json_answer(write({"ca": self._backend.authority.certificate_pem.decode()}))

    async def openapi(self, _request: Request) -> Response:
        return json_answer(files("agent.protocol").joinpath("openapi.json").read_bytes())

    async def enroll(self, request: Request) -> Response:
        answer = self._backend.enroll(read(Enrollment, await body(request)))
        self.lane_came.set()
        return json_answer(answer)

    async def renew(self, request: Request) -> Response:
        asked = read(Renewal, await body(request))
        return json_answer(self._backend.renew(asked.csr, lane_of(request)))

    async def start_epoch(self, request: Request) -> Response:
        lane = lane_of(request).lane
        raw = await body(request)
        asked = read(NewEpoch, raw)
        _check_lane(asked.lane, lane)
        return json_answer(self._backend.start_epoch(asked, raw, lane))

    async def lenders(self, request: Request) -> Response:
        return json_answer(self._backend.introductions(lane_of(request)))

    async def keys(self, request: Request) -> Response:
        lender = self._backend.lender_at(request.query_params.get("lender", ""), lane_of(request).merchant)
        return versioned(request, lender.key_list.version, lender.key_list_bytes, COSE)

    async def policy(self, request: Request) -> Response:
        lender = self._backend.lender_at(request.query_params.get("lender", ""), lane_of(request).merchant)
        return versioned(request, lender.policy.version, lender.policy_bytes, COSE)

    async def snapshot(self, request: Request) -> Response:
        layers = self._backend.snapshot(request.query_params.get("lender", ""), lane_of(request))
        top = layers[-1].sequence
        listed = write({"sequence": top, "layers": [_layer_to_wire(layer) for layer in layers]})
        return versioned(request, top, listed, "application/json")

    async def layer(self, request: Request) -> Response:
        lender, sequence = request.path_params["lender"], request.path_params["sequence"]
        return ranged(request, snapshots.layer_bytes(lane_of(request).lane, lender, count_in_path(sequence)))

    async def heartbeat(self, request: Request) -> Response:
        return json_answer(self._backend.hear(read(Heartbeat, await body(request)), lane_of(request)))

    async def take_layer(self, request: Request) -> Response:
        lender, sequence = request.path_params["lender"], count_in_path(request.path_params["sequence"])
        data = await body(request, bytes_max=LAYER_BYTES_MAX)
        self._backend.take_layer(lane_of(request).lane, lender, sequence, data)
        return Response(status_code=204)

    async def claim(self, request: Request) -> Response:
        return json_answer(self._backend.claim(read(SlipClaimed, await body(request)).claim))

    async def authorize(self, request: Request) -> Response:
        lane = lane_of(request).lane
        raw = await body(request)
        asked = read(AuthorizationRequest, raw)
        key = f"{asked.lender}/{lane}/{asked.sale_id}/{asked.attempt}"
        if request.headers.get("idempotency-key") != key:
            raise Problem("key_mismatch", f"expected {key}")
        if asked.wallet_code is not None:
            return json_answer(await self._backend.wallets.pay(asked, raw, lane))
        self._backend.lender_at(asked.lender, lane_of(request).merchant)
        if asked.merchant_code is not None:
            return json_answer(self._backend.show_code(asked, raw, lane))
        return json_answer(self._backend.authorize(asked, raw, lane))

    async def inquire(self, request: Request) -> Response:
        path = request.path_params
        key = Attempt(lane_of(request).lane, path["lender"], path["sale_id"], count_in_path(path["attempt"]))
        if key.lender in self._backend.rails:
            return json_answer(await self._backend.wallets.inquire(key))
        return json_answer(self._backend.inquire(key))

    async def journal(self, request: Request) -> Response:
        lane = lane_of(request).lane
        upload = read(JournalUpload, decompressed(await body(request), request.headers.get("content-encoding")))
        _check_lane(upload.lane, lane)
        sent = Upload(lane, upload.epoch, upload.first, upload.entries, from_b64url(upload.signature))
        answer = self._backend.ingest(sent, lane_of(request))
        if len(sent.entries) > AT_ONCE_ENTRIES_MAX:
            self.pace.uploaded()  # of a queue that is being drained: its next upload is on its way
        return json_answer(answer)

    async def exceptions(self, request: Request) -> Response:
        return json_answer(self._backend.exceptions(lane_of(request).lane, request.query_params.get("after", "")))

    async def refundable(self, request: Request) -> Response:
        sale, lender = request.path_params, request.query_params.get("lender", "")
        asking = lane_of(request).lane
        return json_answer(self._backend.refundable(asking, sale["lane"], sale["sale_id"], lender))

    async def refund(self, request: Request) -> Response:
        lane, raw = lane_of(request).lane, await body(request)
        asked = read(RefundRequest, raw)
        key = f"{asked.lender}/{lane}/{asked.request_id}"
        if request.headers.get("idempotency-key") != key:
            raise Problem("key_mismatch", f"expected {key}")
        return json_answer(self._backend.refund(asked, raw, lane))

    async def settle(self, request: Request) -> Response:
        lane = lane_of(request).lane
        return json_answer(self._backend.settle(read(SettlementRequest, await body(request)), lane))

    async def events(self, request: Request) -> Response:
        return await events.answer(self.hub, request, lane_of(request).lane)


def lane_of(request: Request) -> LaneName:
    """The lane of the peer's certificate. Raises Problem("certificate_required")."""
    lane: LaneName | None = request.scope.get(LANE_SCOPE)
    if lane is None:
        raise Problem("certificate_required")
    return lane


def _check_lane(said: str, lane: str) -> None:
    if said != lane:
        raise Problem("lane_mismatch", f"the certificate is of lane {lane}")


def _layer_to_wire(layer: SnapshotLayer) -> dict[str, object]:
    return {
        "sequence": layer.sequence,
        "base": layer.sequence == layer.base_sequence,
        "size": layer.size,
        "sha256": bytes(layer.sha256).hex(),
        "url": f"/v1/snapshot/{layer.lender}/{layer.sequence}",
    }
