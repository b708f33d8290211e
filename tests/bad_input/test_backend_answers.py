"""A backend, or whoever answers in its place, that is late, wrong or a web page: a fault in words, never trust."""

import time
from collections.abc import Callable

import pytest

from agent.diagnosis import backend as line
from tests.cli.lane_on_disk import Command, LaneOnDisk

Answer = tuple[int, str, bytes]
JSON, COSE = "application/json", "application/cose"


def late(path: str, _: bytes) -> Answer:
    time.sleep(0 if path == "/v1/ca" else 4)
    return 200, JSON, b"{}"


def a_log_in_page(path: str, _: bytes) -> Answer:
    return 200, "text/html", b"<html>Please log in to the guest Wi-Fi</html>"


def an_error_page(path: str, _: bytes) -> Answer:
    return 502, "text/html", b"<html>Bad Gateway</html>"


def a_redirect(path: str, _: bytes) -> Answer:
    return 302, "text/html", b""


def a_huge_answer(path: str, _: bytes) -> Answer:
    return 200, JSON, b"x" * 20_000_000 if path != "/v1/ca" else b"{}"


def a_foreign_problem(path: str, _: bytes) -> Answer:
    return 403, "application/problem+json", b'{"type": "about:blank", "title": "Forbidden"}'


def a_refusal(path: str, _: bytes) -> Answer:
    body = b'{"type": "urn:counterfoil:problem:lane_revoked", "detail": "This lane is revoked."}'
    return 403, "application/problem+json", body


def busy(path: str, _: bytes) -> Answer:
    return 503, "text/plain", b"later"


ANSWERS: dict[Callable[[str, bytes], Answer], str] = {
    late: "The backend did not answer in time.",
    a_log_in_page: "The backend sent something else than a signed document.",
    an_error_page: "The backend answered with HTTP 502.",
    a_redirect: "The backend answered with HTTP 302.",
    a_huge_answer: "The answer is larger than",
    a_foreign_problem: "The backend answered with HTTP 403.",
    a_refusal: "This lane is revoked.",
    busy: "The backend is busy (HTTP 503).",
}


def signed_time(counterfoil: Command) -> dict[str, str]:
    rows: list[dict[str, str]] = counterfoil("doctor", "--json").json["checks"]
    return next(row for row in rows if row["check"] == "signed_time")


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.__name__)
def test_what_is_no_answer_is_told_in_words(
    answer: Callable[[str, bytes], Answer],
    lane: LaneOnDisk,
    counterfoil: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(line, "STEP_S", 2.0 if answer is late else 30.0)
    lane.backend.answer = answer
    found = signed_time(counterfoil)
    assert found["status"] == "failed"
    assert ANSWERS[answer] in found["cause"]
    assert "Ask the backend team" in found["remedy"]


@pytest.mark.parametrize(
    "body", [b"{}", b'{"time": 5}', b'{"time": "AAAA"}', b'{"time": "!"}', b"[]", b"nul", b'{"time": 1.5}', b"\xff"]
)
def test_a_time_that_cannot_be_read_is_never_taken(body: bytes, lane: LaneOnDisk, counterfoil: Command) -> None:
    def answer(path: str, sent: bytes) -> Answer:
        return (200, JSON, body) if path == "/v1/heartbeat" else lane.backend.true_answer(path, sent)

    lane.backend.answer = answer
    assert signed_time(counterfoil)["status"] == "failed"


def test_a_time_that_answers_another_question_is_never_taken(lane: LaneOnDisk, counterfoil: Command) -> None:
    _, _, recorded = lane.backend.true_answer("/v1/heartbeat", b'{"nonce": "AAAAAAAAAAAAAAAAAAAAAA"}')

    def answer(path: str, sent: bytes) -> Answer:
        return (200, JSON, recorded) if path == "/v1/heartbeat" else lane.backend.true_answer(path, sent)

    lane.backend.answer = answer
    assert signed_time(counterfoil)["said"].endswith("not believed")
