"""The written protocol: every rule is tried or says why not, and the calls are described as the code reads them."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from agent.conformance.cases import CASES
from agent.protocol import rules, text, unchecked
from agent.uplink import answers
from backend import openapi
from backend.api import create_app
from backend.problems import PROBLEMS
from tests.backend.lanes import Shop

EXAMPLES: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "examples.json").read_text())
DOCUMENT: dict[str, Any] = json.loads(files("agent.protocol").joinpath("openapi.json").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
READ_BY_LANES = {
    "Authorization": answers.AUTHORIZATION, "Uploaded": answers.JOURNAL, "Stack": answers.SNAPSHOT,
    "Beat": answers.HEARTBEAT, "Exceptions": answers.EXCEPTIONS, "EpochStarted": answers.EPOCH,
    "Settled": answers.SETTLEMENT, "Events": answers.EVENTS, "Authority": answers.CA, "Enrolled": answers.ENROLLMENT,
    "Renewed": answers.CERTIFICATE, "Claimed": answers.CLAIM,
}  # fmt: skip


def test_every_rule_has_a_case_or_says_why_it_cannot_be_checked() -> None:
    tried = {case.rule for case in CASES}
    assert tried <= set(rules()), "a case cites a rule that is not written"
    assert set(unchecked()) <= set(rules()) - tried, "a rule that is tried is not among those that cannot be"
    assert set(rules()) - tried - set(unchecked()) == set()


def test_rules_are_numbered_without_gaps_and_each_binds() -> None:
    numbers: dict[str, list[int]] = {}
    for rule, sentence in rules().items():
        numbers.setdefault(rule[0], []).append(int(rule[2:]))
        assert re.search(r"\b(MUST|MUST NOT|MAY|SHOULD)\b", sentence), f"{rule} binds nobody"
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())


def test_cases_have_ids_of_their_own() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 110


def test_every_problem_that_the_text_names_exists() -> None:
    named = set(re.findall(r"(?:4\d\d|503) `([a-z_]+)`", text()))
    assert named <= set(PROBLEMS) and len(named) > 15


def test_the_checked_in_description_is_what_the_models_make() -> None:
    assert openapi.text(EXAMPLES) == files("agent.protocol").joinpath("openapi.json").read_text(), (
        "run: python -m backend.openapi tests/conformance/examples.json > agent/protocol/openapi.json"
    )


def test_the_description_is_openapi_3_1() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()


def test_every_route_of_the_backend_is_described_and_nothing_else() -> None:
    shop = Shop.open(":memory:", 1, lanes="")
    app = create_app(shop.backend)
    shop.close()
    routes = {
        f"{method} {re.sub(r':[a-z]+', '', route.path)}" for route in app.routes for method in route.methods - {"HEAD"}
    }
    assert routes == {call.key for call in openapi.CALLS}


@pytest.mark.parametrize("key", EXAMPLES)
@pytest.mark.parametrize("half", ["request", "answer"])
def test_the_recorded_examples_fit_their_schemas(key: str, half: str) -> None:
    call = next(call for call in openapi.CALLS if call.key == key)
    body = call.request if half == "request" else call.answer
    if isinstance(body, type) and half in EXAMPLES[key]:
        schema = {"$ref": f"#/components/schemas/{body.__name__}", "components": {"schemas": SCHEMAS}}
        jsonschema_rs.Draft202012Validator(schema).validate(EXAMPLES[key][half])


def test_every_call_with_a_json_answer_has_an_example() -> None:
    wanted = {call.key for call in openapi.CALLS if isinstance(call.answer, type)}
    assert wanted == set(EXAMPLES)


@pytest.mark.parametrize("name", READ_BY_LANES)
def test_what_a_lane_needs_is_required_of_the_backend(name: str) -> None:
    shape, schema = READ_BY_LANES[name], SCHEMAS[name]
    needed = {field for field, check in shape.items() if not check(None)}
    assert needed <= set(schema["required"])


@pytest.mark.parametrize("key", EXAMPLES)
def test_a_lane_can_read_the_recorded_answers(key: str) -> None:
    call = next(call for call in openapi.CALLS if call.key == key)
    assert isinstance(call.answer, type)
    shape = READ_BY_LANES.get(call.answer.__name__)
    if shape is not None:
        answers.shaped(EXAMPLES[key]["answer"], shape)
