"""Refusals: always a problem document, one line in the log, and nothing of what was said in either."""

import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from backend import problems
from backend.compose import Backend
from backend.limits import RequestRate
from backend.problems import PROBLEMS, Problem
from backend.refusals import LOG_AGAIN_S, Refusals
from tests.backend.lanes import LENDER, Clock, Shop

Call = Callable[..., httpx.Response]


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_has_a_title_a_status_and_says_whether_to_retry(problem: str) -> None:
    kind = PROBLEMS[problem]
    document = json.loads(Problem(problem, "because", more=1).document())
    assert document == {
        "type": problems.TYPE_PREFIX + problem, "title": kind.title, "status": kind.http_status,
        "retry": kind.may_retry, "detail": "because", "more": 1,
    }  # fmt: skip
    assert 400 <= kind.http_status < 600 and kind.title[0].isupper()
    if kind.http_status in (408, 429) or kind.http_status >= 500:
        assert kind.may_retry


def test_a_mistake_of_the_backend_is_a_problem_document_with_a_number_that_the_log_explains(
    shop: Shop, call: Call, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistake(*_: Any) -> None:
        raise KeyError("the pass of a customer")

    monkeypatch.setattr(Backend, "snapshot", mistake)
    answer = call("GET", f"/v1/snapshot?lender={LENDER}")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    number = answer.json()["incident"]
    (line,) = [record.getMessage() for record in caplog.records if number in record.getMessage()]
    assert "KeyError at test_refusals.py" in line
    assert "customer" not in caplog.text + answer.text


def test_the_log_gets_one_line_a_minute_for_each_lane_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    refusals = Refusals(clock)
    with caplog.at_level(logging.INFO, "counterfoil.backend"):
        for _ in range(100):
            refusals.answer(Problem("lane_replaced", "of a customer"), "A")
            refusals.answer(Problem("lane_replaced"), "B")
            refusals.answer(Problem("malformed"), "A")
        assert len(caplog.records) == 3
        clock.now_s += LOG_AGAIN_S
        refusals.answer(Problem("lane_replaced"), "A")
    assert len(caplog.records) == 4
    assert "customer" not in caplog.text


def test_a_retry_is_told_when(shop: Shop) -> None:
    answer = Refusals(shop.clock).answer(Problem("recovering", retry_after_s=5), "A")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


# --- how often a lane may ask ---------------------------------------------------------------------------------------
def taken(rate: RequestRate, lane: str, times: int) -> int:
    """How many of so many requests are let in."""
    let_in = 0
    for _ in range(times):
        try:
            rate.take(lane)
            let_in += 1
        except Problem as problem:
            assert (problem.problem, problem.retry_after_s) == ("too_many_requests", 1)
    return let_in


def test_a_lane_that_asks_too_often_waits_and_no_other_lane_does() -> None:
    clock = Clock()
    rate = RequestRate(clock, rate_per_s=10, burst=30)
    assert taken(rate, "A", 100) == 30
    assert taken(rate, "B", 30) == 30
    clock.now_s += 2
    assert taken(rate, "A", 100) == 20
    clock.now_s += 3600
    assert taken(rate, "A", 100) == 30


def test_a_clock_that_is_set_back_neither_gives_nor_takes() -> None:
    clock = Clock()
    rate = RequestRate(clock, rate_per_s=10, burst=30)
    taken(rate, "A", 25)
    clock.now_s -= 10_000
    assert taken(rate, "A", 100) == 5
    clock.now_s += 1
    assert taken(rate, "A", 100) == 10
