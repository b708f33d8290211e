"""The description of the local API is complete, and no request that it allows, or forbids, makes the agent fail."""

import inspect
import itertools
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from agent.local.api import IN_TRAINING, TABLE
from agent.local.client import LocalClient
from agent.local.description import document
from agent.local.table import Served
from tests.local.served import ServedLane
from tests.services.lanes import Till

CASES = int(os.environ.get("COUNTERFOIL_LOCAL_API_CASES", "25"))
AWAY = frozenset({"uplink_unavailable", "backend_unreachable"})
"""What a lane without a line answers with 503: it says so, and nothing has failed."""
IDS = [f"{row.method} {row.path}" for row in TABLE]
DESCRIBED = document(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=IDS)
def test_every_call_is_described_with_who_may_make_it_and_what_it_reads(row: Served) -> None:
    operation = DESCRIBED["paths"][row.path][row.method.lower()]
    assert operation["summary"] and operation["responses"]["2XX"]["content"]
    assert row.answer is not None or row.path.endswith(("/v1/events", ".svg")), "what it answers is described"
    assert "problem+json" in str(operation["responses"]["default"])
    assert all(str(caller) in operation["description"] for caller in row.who)
    assert ("await read(" in inspect.getsource(row.call)) == (row.body is not None) == ("requestBody" in operation)
    asked = {name for name in ("wait_s", "after_attempt", "limit", "day", "format") if _reads(row, name)}
    assert asked <= set(row.query)


def _reads(row: Served, name: str) -> bool:
    source = inspect.getsource(row.call)
    return f'request, "{name}"' in source or f'query_params.get("{name}"' in source


@pytest.mark.parametrize("rows", [TABLE, (*TABLE, *IN_TRAINING)], ids=["real", "training"])
def test_nothing_is_described_twice_and_every_name_leads_somewhere(rows: tuple[Served, ...]) -> None:
    described = document(rows)
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations) == len(rows)
    text = json.dumps(described)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(described["components"]["schemas"])


def test_the_states_of_a_sale_are_those_that_are_shown() -> None:
    from agent.services.views import SHOWN_STATES

    described = set(DESCRIBED["components"]["schemas"]["SaleView"]["properties"]["state"]["enum"])
    assert described == {*SHOWN_STATES.values(), "waiting", "choosing", "unknown"}


DAY: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/shift/opening", {"operator": "7", "float_minor": 20_000}),
    ("POST", "/v1/sales", {"sale_id": "sale-0001", "amount": {"minor": 3_000, "currency": "CNY"}}),
    ("GET", "/v1/sales/sale-0001", {}),
    ("POST", "/v1/sales/sale-0001/dismissal", {}),
    ("POST", "/v1/sales", {"sale_id": "sale-0002", "amount": {"minor": 3_000, "currency": "CNY"}, "code": "PASS"}),
    ("POST", "/v1/sales/sale-0002/refund", {"request_id": "r-1", "amount_minor": 100}),
    ("POST", "/v1/sales", {"sale_id": "sale-0003", "amount": {"minor": 3_000, "currency": "CNY"}, "code": "none"}),
    ("GET", "/v1/sales", {}),
    ("POST", "/v1/sales/sale-0003/reprint", {}),
    ("GET", "/v1/sales/sale-0002/explanation", {}),
    ("POST", "/v1/offers", {"amount": {"minor": 30_000, "currency": "CNY"}}),
    ("GET", "/v1/counter", {}),
    ("GET", "/v1/health", {}),
    ("GET", "/v1/status", {}),
    ("GET", "/v1/operators", {}),
    ("GET", "/v1/openapi.json", {}),
    ("POST", "/v1/journal/verification", {}),
    ("POST", "/v1/other-tenders", {"count": 3, "amount_minor": 12_000}),
    ("GET", "/v1/insights", {}),
    ("POST", "/v1/page-links", {}),
    ("GET", "/v1/shift", {}),
    ("POST", "/v1/shift/closing", {"counted_minor": 20_000}),
    ("POST", "/v1/settlements", {}),
]
"""A day, call by call; each is answered well."""


def test_a_days_answers_have_the_shapes_that_are_described(lane: ServedLane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.services.settlement.QUEUE_WAIT_S", 0.0)
    lane.within_s, code = 60, lane.till.phone().code()

    def story(_: LocalClient) -> None:
        for method, path, body in DAY:
            sent = {name: code if value == "PASS" else value for name, value in body.items()}
            status, media, data = lane.raw(method, path, json.dumps(sent).encode() if method == "POST" else None)
            assert (status < 300, media) == (True, "application/json"), (path, data)
            row = next(row for row in TABLE if row.method == method and _is_of(row.path, path))
            assert row.answer is not None
            row.answer.model_validate_json(data)

    lane.tell(story)


def _is_of(template: str, path: str) -> bool:
    return re.fullmatch(re.sub("{[a-z_]+}", "[^/]+", template), path) is not None


@pytest.fixture
def lane(till: Till) -> Iterator[ServedLane]:
    yield ServedLane(till)


def fuzz(lane: ServedLane, row: Served, cases: int) -> set[int]:
    """Make so many requests of one call, half of them wrong on purpose; the status codes of the answers."""

    async def nothing() -> Any:
        return []

    async def claim(_: str) -> Any:
        return {"result": "known", "sale_id": "sale-0001", "lane": "lane-01", "epoch": 1}

    async def absent(*_: Any) -> None:
        return None

    async def virtually(*_: str) -> str:
        return "counter"

    devices = {"check_devices": nothing, "claim": claim, "print_test": absent, "open_drawer": absent}
    app = lane.app(**devices, test_display=absent, act_virtually=virtually)
    lane.till.lane.events.close()  # or a stream would never end
    callers = itertools.count(1)

    async def from_another_process(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "client": (str(next(callers)), 0)}, receive, send)

    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", from_another_process)
    operation = schema[row.path][row.method]
    seen: set[int] = set()

    @given(st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)))
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        if case.query and "wait_s" in case.query:
            case.query = {**case.query, "wait_s": 0}
        response = case.call()
        assert "Traceback (most recent call last)" not in response.text
        assert response.status_code < 500 or (response.status_code, response.json()["title"] in AWAY) == (503, True)
        if response.status_code < 400:
            case.validate_response(response, checks=[content_type_conformance, response_schema_conformance])
        else:
            assert response.json()["status"] == response.status_code
        seen.add(response.status_code)

    ask()
    return seen


@pytest.mark.proof
@pytest.mark.parametrize("row", TABLE, ids=IDS)
def test_no_request_makes_the_agent_fail_or_answer_what_is_not_described(lane: ServedLane, row: Served) -> None:
    fuzz(lane, row, CASES)
