"""The counter hears what became of a sale once, and what it wants to hear."""

from __future__ import annotations

from typing import Any

import pytest

from agent.services.beeps import Beeps


def view(state: str, response_code: str | None = None, attempt: int = 1) -> dict[str, Any]:
    return {"sale_id": "sale-0001", "attempt": attempt, "state": state, "response_code": response_code}


@pytest.mark.parametrize(
    ("state", "response_code", "signal"),
    [
        ("waiting", None, None),
        ("asking", None, None),
        ("approved", "00", None),
        ("choosing", None, "attention"),
        ("declined", "1A", "attention"),
        ("declined", "61", "refused"),
    ],
)
def test_a_refusal_and_a_wait_for_the_customer_are_heard(
    state: str, response_code: str | None, signal: str | None
) -> None:
    assert Beeps(on_decline=True, on_attention=True).heard(view(state, response_code)) == signal
    assert Beeps(on_decline=False, on_attention=False).heard(view(state, response_code)) is None


def test_what_is_told_again_is_not_heard_again_but_the_next_attempt_is() -> None:
    beeps = Beeps(on_decline=True, on_attention=True)
    told = [view("declined", "61"), view("declined", "61"), view("declined", "61", attempt=2)]
    assert [beeps.heard(each) for each in told] == ["refused", None, "refused"]
