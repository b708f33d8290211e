"""The counter hears what became of a sale once, and what it wants to hear."""

from __future__ import annotations

from typing import Any

import pytest

from agent.services.beeps import Beeps


def view(state: str, reason: str | None = None, attempt: int = 1) -> dict[str, Any]:
    return {"sale_id": "sale-0001", "attempt": attempt, "state": state, "reason": reason}


@pytest.mark.parametrize(
    ("state", "reason", "signal"),
    [
        ("waiting", None, None),
        ("asking", None, None),
        ("approved", "approved", None),
        ("choosing", None, "attention"),
        ("declined", "step_up", "attention"),
        ("declined", "over_limit", "refused"),
    ],
)
def test_a_refusal_and_a_wait_for_the_customer_are_heard(state: str, reason: str | None, signal: str | None) -> None:
    assert Beeps(on_decline=True, on_attention=True).heard(view(state, reason)) == signal
    assert Beeps(on_decline=False, on_attention=False).heard(view(state, reason)) is None


def test_what_is_told_again_is_not_heard_again_but_the_next_attempt_is() -> None:
    beeps = Beeps(on_decline=True, on_attention=True)
    told = [view("declined", "x"), view("declined", "x"), view("declined", "x", attempt=2)]
    assert [beeps.heard(each) for each in told] == ["refused", None, "refused"]
