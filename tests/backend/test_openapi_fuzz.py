"""The backend fuzzed from its own description: whatever fits a call or just misses it, the answer is one that is
described, and never a fault of the server."""

import json
import os
from importlib.resources import files
from typing import Any

import pytest
import schemathesis
import schemathesis.specs.openapi.schemas  # here: loaded in the middle of a test, Python 3.11 cannot always parse it
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from agent import protocol
from backend.api import LANE_SCOPE, create_app
from backend.identity import LaneName
from backend.limits import RequestRate
from tests.backend.lanes import Shop

CASES = int(os.environ.get("COUNTERFOIL_API_CASES", "300"))
FEW = 10
PEER = LaneName("A", "merchant-1", "store-1", expires_at=2**32)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DESCRIPTION = json.loads(files(protocol).joinpath("openapi.json").read_text(encoding="utf-8"))
OPERATIONS = [(method.upper(), path) for path, calls in DESCRIPTION["paths"].items() for method in calls]


def fuzz(shop: Shop, method: str, path: str, cases: int) -> set[int]:
    """Make so many requests of one operation, half of them wrong on purpose; the status codes of the answers."""
    ticks = iter(range(10**9))
    app = create_app(shop.backend, rate=RequestRate(lambda: next(ticks)))

    async def with_certificate(scope: Any, receive: Any, send: Any) -> None:
        scope[LANE_SCOPE] = PEER
        await app(scope, receive, send)

    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", with_certificate)
    operation = schema[path][method]
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
        if path == "/v1/events":  # a stream never ends, and a poll waits for news
            case.headers = {"accept": "application/json"}
            case.query = {**(case.query or {}), "wait_s": 0}
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        seen.add(response.status_code)

    ask()
    return seen


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_makes_the_backend_fail_or_answer_what_is_not_described(shop: Shop, method: str, path: str) -> None:
    fuzz(shop, method, path, FEW)


@pytest.mark.proof
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_of_many_does(shop: Shop, method: str, path: str) -> None:
    fuzz(shop, method, path, CASES)
