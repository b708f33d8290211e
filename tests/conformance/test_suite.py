"""The suite says what became of each case, and a failure can be understood without reading the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agent.conformance import report, suite
from agent.conformance.case import Case
from agent.conformance.exchange import Broken, Exchange, Skipped
from agent.conformance.kit import Kit
from agent.protocol import rules

RULE = "J-04"
Run = Callable[[Any], None]


class World:
    """A world in which every case is tried alone."""

    kit = Kit((), (), ())

    def __init__(self, *_: Any) -> None: ...

    def close(self) -> None: ...

    @contextmanager
    def of_one_case(self) -> Iterator[None]:
        yield


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Callable[..., suite.Result]:
    monkeypatch.setattr(suite, "World", World)

    def tried(run: Run, *, needs: tuple[str, ...] = ()) -> suite.Result:
        case = Case(f"{RULE}.gap", RULE, "a gap", needs, run)
        (result,) = suite.run("https://backend.test", World.kit, [case], tell=lambda _: None)
        return result

    return tried


def breaks(_world: Any) -> None:
    raise Broken("status 409", sent="POST /v1/journal {}", came="200 application/json {}")


def test_a_failure_quotes_the_rule_and_shows_what_was_sent_expected_and_received(
    tried: Callable[..., suite.Result],
) -> None:
    shown = report.line(tried(breaks))
    for part in (rules()[RULE], "POST /v1/journal {}", "status 409", "200 application/json {}"):
        assert part in shown


def test_an_answer_without_the_members_that_the_protocol_promises_is_a_failure_and_no_stack_trace(
    tried: Callable[..., suite.Result],
) -> None:
    def reads(_world: Any) -> None:
        Exchange("GET /v1/ca", 200, {"content-type": "application/json"}, b"{}").ok()["ca"]

    result = tried(reads)
    assert (result.outcome, "KeyError" in result.why) == ("failed", True)


def test_a_case_without_its_hook_is_skipped_by_name(tried: Callable[..., suite.Result]) -> None:
    assert "restart" in tried(breaks, needs=("restart",)).why
    assert "expired_lane" in tried(breaks, needs=("expired_lane",)).why


def test_what_runs_out_in_the_middle_is_missing_too(tried: Callable[..., suite.Result]) -> None:
    def runs_out(_world: Any) -> None:
        raise Skipped("the kit has no code left")

    assert tried(runs_out).outcome == "skipped"


def test_the_json_counts_and_names(tried: Callable[..., suite.Result]) -> None:
    results = [tried(breaks), tried(lambda _world: None), tried(breaks, needs=("recall",))]
    told = report.document("https://backend.test", results)
    assert (told["passed"], told["failed"], told["skipped"]) == (1, 1, 1)
    assert told["cases"][0]["rule"] == rules()[RULE]
    assert "1 passed, 1 failed, 1 skipped" in report.summary(results)


def test_cases_are_chosen_by_the_beginning_of_their_id() -> None:
    assert {case.rule for case in suite.chosen(["J-04"])} == {"J-04"}
    assert {case.rule[0] for case in suite.chosen(["J", "X"])} == {"J", "X"}


@pytest.mark.parametrize(
    ("status", "media_type", "content", "missing"),
    [
        (200, "application/json", b"{}", "a refusal"),
        (404, "text/html", b"<html>", "a problem document"),
        (404, "application/problem+json", b"{}", "members type"),
        (404, "application/problem+json", b"[]", "a JSON object"),
        (
            404,
            "application/problem+json",
            b'{"type": "urn:counterfoil:problem:x", "title": "X", "status": 400}',
            "a member status",
        ),
        (
            403,
            "application/problem+json",
            b'{"type": "urn:counterfoil:problem:x", "title": "X", "status": 403}',
            "status 404",
        ),
    ],
)
def test_a_refusal_is_a_problem_document_or_it_is_broken(
    status: int, media_type: str, content: bytes, missing: str
) -> None:
    exchange = Exchange("GET /v1/x", status, {"content-type": media_type}, content)
    with pytest.raises(Broken, match=missing):
        exchange.problem(404, "not_found")
