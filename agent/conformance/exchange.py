"""One request and what came back, and the demands that a case makes of it.

The one rule: a demand that is not met says what was expected, what was sent and what came, so that a backend's team
can see the fault without reading this program.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

PROBLEM_PREFIX: Final = "urn:counterfoil:problem:"
SHOWN_CHARS_MAX: Final = 600


class Broken(Exception):
    """The backend breaks a rule: what was expected, what was sent, what came."""

    def __init__(self, expected: str, *, sent: str = "", came: str = "") -> None:
        super().__init__(expected)
        self.expected, self.sent, self.came = expected, sent, came


class Skipped(Exception):
    """The case cannot be tried; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as it was sent (a line for people) and the whole answer."""

    sent: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def came(self) -> str:
        text = shown(self.content)
        return f"{self.status} {self.media_type} {text}".strip()

    def broken(self, expected: str) -> NoReturn:
        raise Broken(expected, sent=self.sent, came=self.came)

    def demand(self, fulfilled: object, expected: str) -> None:
        if not fulfilled:
            self.broken(expected)

    def is_(self, status: int) -> Exchange:
        self.demand(self.status == status, f"status {status}")
        return self

    def ok(self) -> dict[str, Any]:
        """The JSON object of a 200. Numbers that are not integers come as text."""
        self.is_(200)
        self.demand(self.media_type == "application/json", "an answer of type application/json")
        return self._object()

    def problem(self, status: int, problem: str) -> dict[str, Any]:
        """The members of a refusal, which must be this problem."""
        members = self.any_problem()
        self.demand(
            self.status == status and members["type"] == PROBLEM_PREFIX + problem,
            f"status {status} with a problem of type {PROBLEM_PREFIX}{problem}",
        )
        return members

    def any_problem(self) -> dict[str, Any]:
        """The members of a refusal of the agreed form, whichever it is."""
        self.demand(self.status >= 400, "a refusal")
        self.demand(self.media_type == "application/problem+json", "a problem document (application/problem+json)")
        members = self._object()
        kind, title = members.get("type"), members.get("title")
        self.demand(
            isinstance(kind, str) and kind.startswith(PROBLEM_PREFIX) and isinstance(title, str) and title,
            f"members type ({PROBLEM_PREFIX}…) and title",
        )
        self.demand(members.get("status") == self.status, "a member status equal to the status of the answer")
        return members

    def _object(self) -> dict[str, Any]:
        try:
            value = json.loads(self.content, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            self.broken("a JSON object")
        self.demand(isinstance(value, dict), "a JSON object")
        fields: dict[str, Any] = value
        return fields


def shown(content: bytes) -> str:
    """A body for people: text as it is, other bytes by their length."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return f"<{len(content)} bytes>"
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}… ({len(text)} characters)"
