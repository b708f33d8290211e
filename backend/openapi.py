"""The OpenAPI 3.1 description of the calls, made from the models that read and describe the bodies.

The one rule: agent/protocol/openapi.json is what this makes, byte for byte; nobody edits it.

    python -m backend.openapi EXAMPLES > agent/protocol/openapi.json

EXAMPLES is a JSON file of recorded bodies, {"POST /v1/journal": {"request": …, "answer": …}}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from pydantic.json_schema import models_json_schema

from agent.core.policy_rules import RESPONSE_CODES, Effect
from agent.core.policy_vocabulary import LIMITS, ONLINE_VARIABLES, RULE_VARIABLES
from backend import answers, wire
from backend.problems import PROBLEMS, TYPE_PREFIX
from backend.wire import Body

JSON: Final = "application/json"
COSE: Final = "application/cose"
BYTES: Final = "application/octet-stream"
ALWAYS: Final = (
    "malformed", "certificate_required", "lane_unknown", "lane_mismatch", "lane_revoked", "lane_replaced",
    "certificate_expired", "too_slow", "too_many_requests", "headers_too_large", "internal", "unavailable",
)  # fmt: skip
"""What any call with a certificate may be refused with."""

PUBLIC: Final = ("malformed", "too_slow", "headers_too_large", "internal", "unavailable")
READS: Final = ("lender_unknown",)
WRITES: Final = ("too_large",)
Examples = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: ``rules`` are sections of ids in lane-protocol.md; ``answer`` is a model, a media type, or nothing."""

    method: str
    path: str
    summary: str
    rules: str
    answer: type[Body] | str | None
    request: type[Body] | str | None = None
    problems: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    is_public: bool = False
    status: str = "200"
    is_tagged: bool = False

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"


CALLS: Final = (
    Call("GET", "/v1/openapi.json", "This description", "T-13", JSON, is_public=True),
    Call("GET", "/v1/ca", "The CA's certificate", "E-01", answers.Authority, is_public=True),
    Call("POST", "/v1/enroll", "A one-time code becomes a lane", "E-02 … E-10, W-10", answers.Enrolled, wire.Enrollment,
         ("code_refused", "code_used", *WRITES), is_public=True),
    Call("POST", "/v1/certificates", "The next certificate of this device", "C-01 … C-04", answers.Renewed,
         wire.Renewal, WRITES),
    Call("GET", "/v1/lenders", "The lenders of this lane, introduced by the CA", "E-11, E-12", answers.Introductions),
    Call("GET", "/v1/keys", "The lender's key list", "D-01, D-03 … D-06", COSE, problems=READS, query=("lender",),
         headers=("If-None-Match",), is_tagged=True),
    Call("GET", "/v1/policy", "The lender's policy", "D-02 … D-04", COSE, problems=READS, query=("lender",),
         headers=("If-None-Match",), is_tagged=True),
    Call("GET", "/v1/snapshot", "The stack of layers for this lane", "S-01, S-08", answers.Stack,
         problems=(*READS, "snapshot_none"), query=("lender",), headers=("If-None-Match",), is_tagged=True),
    Call("GET", "/v1/snapshot/{lender}/{sequence}", "One layer of this lane", "S-02 … S-07, S-09, S-10", BYTES,
         problems=("snapshot_none", "not_found", "range"), headers=("Range",)),
    Call("PUT", "/v1/snapshot/{lender}/{sequence}", "A layer that a restored backend has forgotten", "R-08", None,
         BYTES,
         (*READS, "not_found", "layer_conflict", "layer_untrusted", "journal_behind", *WRITES), status="204"),
    Call("POST", "/v1/heartbeat", "Signed time, and what is wanted of the lane", "H-01 … H-05", answers.Beat,
         wire.Heartbeat, (*READS, *WRITES)),
    Call("POST", "/v1/authorizations", "Authorize one attempt of a sale, once",
         "A-01 … A-23, L-03, L-05, L-10, W-01 … W-09",
         answers.Authorization, wire.AuthorizationRequest,
         (*READS, "key_mismatch", "idempotency_conflict", "epoch_unknown", "recovering", *WRITES),
         headers=("Idempotency-Key",)),
    Call("GET", "/v1/authorizations/{lender}/{sale_id}/{attempt}", "What became of an attempt", "A-05 … A-07",
         answers.Authorization, problems=("authorization_unknown", "not_found")),
    Call("POST", "/v1/journal", "Store and forward", "J-01 … J-26, L-01 … L-19", answers.Uploaded, wire.JournalUpload,
         ("epoch_unknown", "upload_signature", "journal_gap", "journal_fork", "journal_malformed", *WRITES),
         headers=("Content-Encoding",)),
    Call("GET", "/v1/exceptions", "Entries that people must look at", "X-01 … X-04", answers.Exceptions,
         query=("after",)),
    Call("POST", "/v1/settlements", "Match a batch", "B-01 … B-08", answers.Settled, wire.SettlementRequest,
         (*READS, "epoch_unknown", "journal_behind", "settlement_conflict", *WRITES)),
    Call("GET", "/v1/sales/{lane}/{sale_id}/refundable", "What is left to refund", "F-01 … F-04", answers.Refundable,
         problems=(*READS, "sale_unknown", "not_found"), query=("lender",)),
    Call("POST", "/v1/refunds", "Refund a sale of another lane, once", "F-05 … F-08", answers.Refunded,
         wire.RefundRequest,
         (*READS, "key_mismatch", "sale_unknown", "idempotency_conflict", "epoch_unknown", "recovering", *WRITES),
         headers=("Idempotency-Key",)),
    Call("POST", "/v1/epochs", "A new epoch after a fork", "R-01 … R-05", answers.EpochStarted, wire.NewEpoch,
         ("epoch_unknown", "idempotency_conflict", *WRITES)),
    Call("POST", "/v1/claims", "A slip's claim", "Q-01 … Q-06", answers.Claimed, wire.SlipClaimed,
         ("claim_signature", *WRITES)),
    Call("GET", "/v1/events", "Push: long poll, or server-sent events", "V-01 … V-07", answers.Events,
         query=("after", "wait_s"), headers=("Last-Event-ID", "Accept")),
)  # fmt: skip

PARAMETERS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "lender": ("a lender of this backend", {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,15}$"}),
    "sequence": ("of the layer", {"type": "integer", "minimum": 1}),
    "sale_id": ("of the sale", {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,36}$"}),
    "attempt": ("of the sale, from 1", {"type": "integer", "minimum": 1}),
    "lane": ("that made the sale", {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}),
    "after": ("cursor of an answer before; none: from the beginning", {"type": "string"}),
    "wait_s": ("how long to wait for something new", {"type": "integer", "minimum": 0, "maximum": 25}),
    "If-None-Match": ("ETag of what the lane has", {"type": "string"}),
    "Range": ("bytes=N- or bytes=N-M (RFC 9110 section 14)", {"type": "string"}),
    "Idempotency-Key": ("lender/lane/sale_id/attempt", {"type": "string"}),
    "Content-Encoding": ("zstd (RFC 8878), or not there", {"enum": ["zstd"]}),
    "Last-Event-ID": ("id of the last event of a stream before", {"type": "string"}),
    "Accept": ("text/event-stream, or application/json for a long poll", {"type": "string"}),
}
_REQUIRED: Final = frozenset({"Idempotency-Key", "lender", "sequence", "sale_id", "attempt", "lane"})


def document(examples: Examples) -> dict[str, Any]:
    """The whole description."""
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, examples.get(call.key, {}))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Counterfoil lane protocol",
            "version": "1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Lane and backend. The rules, by the ids that each call names, are in lane-protocol.md.",
        },
        "servers": [{"url": "https://localhost:8443"}],
        "security": [{"lane": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"lane": {"type": "mutualTLS", "description": "CN lane, O merchant, OU store"}},
            "schemas": _schemas(),
        },
        "x-problems": {name: kind._asdict() for name, kind in PROBLEMS.items()},
        "x-policy": _policy(),
    }


def text(examples: Examples) -> str:
    return json.dumps(document(examples), ensure_ascii=False, indent=1) + "\n"


def _operation(call: Call, example: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": call.summary, "description": f"Rules {call.rules}."}
    operation["operationId"] = _name(call)
    if call.is_public:
        operation["security"] = [{}]
    if parameters := _parameters(call):
        operation["parameters"] = parameters
    if call.request is not None:
        operation["requestBody"] = {"required": True, "content": _content(call.request, example.get("request"))}
    return operation | {"responses": _responses(call, example.get("answer"))}


def _name(call: Call) -> str:
    words = [word for word in call.path.replace(".", "/").split("/")[2:] if not word.startswith("{")]
    return "_".join([call.method.lower(), *words, *(["one"] if call.path.endswith("}") else [])])


def _parameters(call: Call) -> list[dict[str, Any]]:
    in_path = [part[1:-1] for part in call.path.split("/") if part.startswith("{")]
    places = [("path", name) for name in in_path]
    places += [("query", name) for name in call.query] + [("header", name) for name in call.headers]
    return [
        {"name": name, "in": place, "required": name in _REQUIRED, "description": about, "schema": schema}
        for place, name in places
        for about, schema in [PARAMETERS[name]]
    ]


def _content(body: type[Body] | str, example: Any) -> dict[str, Any]:
    if isinstance(body, str):
        return {body: {}}
    media: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}
    return {JSON: media if example is None else media | {"example": example}}


def _responses(call: Call, example: Any) -> dict[str, Any]:
    good: dict[str, Any] = {"description": call.summary}
    if call.answer is not None:
        good["content"] = _content(call.answer, example)
    if call.path == "/v1/events":
        good["content"]["text/event-stream"] = {}
    if call.is_tagged:
        good["headers"] = {"ETag": {"schema": {"type": "string"}}}
    responses = {call.status: good}
    if call.is_tagged:
        responses["304"] = {"description": "The lane has this version"}
    if "Range" in call.headers:
        responses["206"] = {"description": "The bytes of the range", "content": {BYTES: {}}}
    return responses | _refusals((*(PUBLIC if call.is_public else ALWAYS), *call.problems))


def _refusals(problems: tuple[str, ...]) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    for problem in problems:
        by_status.setdefault(str(PROBLEMS[problem].http_status), []).append(problem)
    return {
        status: {
            "description": ", ".join(names),
            "content": {
                "application/problem+json": {
                    "schema": {
                        "allOf": [{"$ref": "#/components/schemas/ProblemDocument"}],
                        "properties": {"type": {"enum": [TYPE_PREFIX + name for name in names]}},
                    }
                }
            },
        }
        for status, names in sorted(by_status.items())
    }


def _schemas() -> dict[str, Any]:
    bodies: list[type[Body]] = [
        body for call in CALLS for body in (call.request, call.answer) if isinstance(body, type)
    ]
    unique: dict[type[Body], None] = dict.fromkeys([*bodies, answers.ProblemDocument])
    _, schemas = models_json_schema(
        [(model, "validation") for model in unique], ref_template="#/components/schemas/{model}"
    )
    found: dict[str, Any] = schemas["$defs"]
    return found


def _policy() -> dict[str, Any]:
    """The names that a policy may use."""
    ranges = {name: {"least": limit.low, "greatest": limit.high, "is": limit.meaning} for name, limit in LIMITS.items()}
    codes = {effect: sorted(RESPONSE_CODES[effect]) for effect in get_args(Effect)}
    return {"limits": ranges, "response_codes": codes, "rule_variables": sorted(RULE_VARIABLES)} | {
        "online_variables": sorted(ONLINE_VARIABLES)
    }


if __name__ == "__main__":
    sys.stdout.write(text(json.loads(Path(sys.argv[1]).read_text())))
