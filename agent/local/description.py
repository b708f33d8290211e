"""The OpenAPI 3.1 description of the local API, made from its table and the models that read and describe bodies.

The one rule: nobody writes it by hand; what is served is described, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from agent.core.operators import NEEDS
from agent.local.access import COOKIES, Caller
from agent.local.answers import Answer, Problem
from agent.local.requests import TAIL, WAIT_MAX_S, Body
from agent.local.table import Served

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
OTHER_MEDIA: Final[Mapping[str, tuple[str, ...]]] = {
    "/v1/events": (EVENT_STREAM,),
    "/v1/insights": (JSON, "text/csv"),
    "/v1/sales/{sale_id}/merchant-code.svg": ("image/svg+xml",),
}
"""Of calls that do not answer in JSON alone."""

PARAMETERS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "sale_id": ("of the sale", {"type": "string"}),
    "account": ("token of the account", {"type": "string", "pattern": "^[0-9a-f]{32}$"}),
    "wait_s": ("wait so long for its decision", {"type": "number", "minimum": 0, "maximum": WAIT_MAX_S}),
    "after_attempt": ("wait for a later attempt than this", {"type": "integer", "minimum": 0}),
    "lender": ("a lender of this lane; the first if none is given", {"type": "string"}),
    "day": ("of the store's calendar; none given: of sales any, else today", {"type": "string", "format": "date"}),
    "amount_minor": ("of the sale", {"type": "integer", "minimum": 1}),
    "account_tail": ("the last four of the account, as a slip shows it", {"type": "string", "pattern": TAIL}),
    "format": ("csv: a table for a spreadsheet", {"enum": ["csv"]}),
    "limit": ("so many at most", {"type": "integer", "minimum": 1, "maximum": 50}),
}
SCHEMES: Final = {
    "pos": {"type": "http", "scheme": "bearer", "description": "`counterfoil token`; in run_dir/pos-token"},
    "cashier": {"type": "apiKey", "in": "cookie", "name": COOKIES[Caller.CASHIER]},
    "display": {"type": "apiKey", "in": "cookie", "name": COOKIES[Caller.DISPLAY]},
}
ABOUT: Final = """One lane's agent, on the Unix socket `run_dir/agent.sock` (its group may ask everything) and on
127.0.0.1 where `[local] port` is set. Amounts are integers of minor units, times integer seconds (UTC). A request may
be repeated: a sale is told by its `sale_id`, a refund and a part of a capture by their `request_id`, a close by its
batch. Refusals are problem documents (RFC 9457)."""


def document(table: Iterable[Served]) -> dict[str, Any]:
    """The whole description."""
    rows, paths = [*table], dict[str, dict[str, Any]]()
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Counterfoil local API",
            "version": "1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": ABOUT.replace("\n", " "),
        },
        "paths": paths,
        "components": {"securitySchemes": SCHEMES, "schemas": _schemas(rows)},
    }


def _operation(row: Served) -> dict[str, Any]:
    needs = f" Where the lane has operators: a session of a {NEEDS[row.needs]}." if row.needs else ""
    operation: dict[str, Any] = {
        "operationId": _name(row),
        "summary": row.does,
        "description": f"For {', '.join(sorted(row.who))}.{needs}",
        # The Unix socket knows its callers by itself: no scheme at all is one of the ways.
        "security": [*({str(caller): []} for caller in sorted(row.who) if str(caller) in SCHEMES), {}],
        "responses": _responses(row),
    }
    if parameters := [*_parameters(row)]:
        operation["parameters"] = parameters
    if row.body is not None:
        operation["requestBody"] = {"required": _is_required(row.body), "content": {JSON: {"schema": _ref(row.body)}}}
    return operation


def _name(row: Served) -> str:
    words = [word for word in row.path.replace(".", "/").split("/")[2:] if not word.startswith("{")]
    return "_".join([row.method.lower(), *words, *(["one"] if row.path.endswith("}") else [])])


def _parameters(row: Served) -> Iterable[dict[str, Any]]:
    in_path = re.findall(r"{(\w+)}", row.path)
    for place, names in (("path", in_path), ("query", row.query)):
        for name in names:
            about, schema = PARAMETERS[name]
            yield {"name": name, "in": place, "required": place == "path", "description": about, "schema": schema}


def _responses(row: Served) -> dict[str, Any]:
    schema: dict[str, Any] = {**_ref(row.answer)} if row.answer else {}
    media = OTHER_MEDIA.get(row.path, (JSON,))
    if row.path == "/v1/devices":
        schema = {"type": "array", "items": schema}
    content: dict[str, Any] = {each: {"schema": schema} if each == JSON else {} for each in media}
    refusal: dict[str, Any] = {
        "description": "Refused, and why",
        "content": {"application/problem+json": {"schema": _ref(Problem)}},
    }
    return {"2XX": {"description": row.does, "content": content}, "default": refusal}


def _is_required(body: type[Body]) -> bool:
    return any(field.is_required() for field in body.model_fields.values())


def _ref(model: type[Body | Answer]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _schemas(rows: Iterable[Served]) -> dict[str, Any]:
    models = [model for row in rows for model in (row.body, row.answer) if model is not None]
    unique: dict[type[Body | Answer], None] = dict.fromkeys([*models, Problem])
    _, schemas = models_json_schema(
        [(model, "validation") for model in unique], ref_template="#/components/schemas/{model}"
    )
    found: dict[str, Any] = schemas["$defs"]
    return found
