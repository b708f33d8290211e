"""Who answers for what is sensitive: operators sign in with a PIN, and what they do is in the journal.

The one rule: a lane without operators asks nobody; with them, nothing sensitive is done but in a session of the right
role, and it is recorded, durably, before it is begun. A try is counted before the PIN is looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.core.journal import Draft, Kind
from agent.core.operators import LOCKED_OUT, NEEDS, SIGNED_IN, Action, Operator
from agent.core.trusted_time import ClockReading
from agent.errors import OperatorRefused
from agent.ports import Clock, Ledger, OperatorBook, Randomness

IDLE_MAX_S: Final = 300
"""A session that nobody uses for so long is over: a till is left alone with its page open."""
NOBODY: Final = "nobody"
"""Who opened a drawer, and said why, at a lane that has no operators."""
SESSIONS_MAX: Final = 32
SESSION_BYTES: Final = 32


@dataclass(slots=True)
class Session:
    """``used_s`` is on the monotonic clock."""

    operator: Operator
    used_s: float


class OperatorDesk:
    """``reading`` is the time at which actions are recorded. Sessions end with the agent."""

    def __init__(
        self,
        book: OperatorBook,
        ledger: Ledger,
        reading: Callable[[], ClockReading],
        clock: Clock,
        random_bytes: Randomness,
    ) -> None:
        self._book, self._ledger, self._reading = book, ledger, reading
        self._clock, self._random_bytes = clock, random_bytes
        self._sessions: dict[str, Session] = {}
        self._one_try = asyncio.Lock()

    async def sign_in(self, name: str, pin: str) -> tuple[str, Operator]:
        """A session and whose it is. Raises OperatorRefused (``operator_pin_wrong``, ``operator_locked``),
        OperatorsUnreadable and ledger faults."""
        async with self._one_try:
            before = self._book.all().get(name)
            if before is None:
                raise OperatorRefused("operator_pin_wrong")
            now_s = self._reading().now_s
            if locked_s := before.locked_s(now_s):
                raise OperatorRefused("operator_locked", locked_s)
            tried = self._book.change(name, lambda known: known.tried(now_s) if known else None)
            if tried is None or not await asyncio.to_thread(self._book.fits, tried.pin_hash, pin):
                raise self._wrong(tried, now_s)
            known = self._book.change(name, lambda operator: operator.recognised() if operator else None)
            if known is None:
                raise OperatorRefused("operator_pin_wrong")
        self._journal(known.name, known.role, SIGNED_IN, None)
        return self._begin(known), known

    def sign_out(self, session: str) -> None:
        self._sessions.pop(session, None)

    def who(self, session: str | None) -> Operator | None:
        """Whose session this is, as the operator is now; None if it is none, or over. Raises OperatorsUnreadable."""
        found, now_s = self._sessions.get(session or ""), self._clock.monotonic_s()
        if found is None or session is None:
            return None
        known = self._book.all().get(found.operator.name)
        is_same = known is not None and (known.pin_hash, known.role) == (found.operator.pin_hash, found.operator.role)
        if not is_same or now_s - found.used_s > IDLE_MAX_S:
            self.sign_out(session)
            return None
        found.used_s = now_s
        return known

    def permit(
        self, action: Action, session: str | None, subject: str | None, *, owner: str | None = None
    ) -> Operator | None:
        """Record that somebody who may do this begins to, and say who: None where nobody needs to sign in. ``owner``
        names the lane's own user, who needs no session; in one, it is the session's operator who is recorded.
        Raises OperatorRefused (``operator_required``, ``role_required``), OperatorsUnreadable and ledger faults."""
        if not self._book.all():
            if action is Action.DRAWER and subject:
                self._journal(NOBODY, NOBODY, action, subject)
            return None
        operator = self.who(session)
        if operator is None and owner is not None and not session:
            self._journal(owner, "owner", action, subject)
            return None
        if operator is None:
            raise OperatorRefused("operator_required")
        if not operator.may(action):
            raise OperatorRefused("role_required")
        self._journal(operator.name, operator.role, action, subject)
        return operator

    def overview(self, session: str | None) -> dict[str, Any]:
        """Who may sign in, who has, and what needs it. Raises OperatorsUnreadable."""
        operators, here = self._book.all().values(), self.who(session)
        return {
            "operators": [_shown(operator) for operator in operators],
            "signed_in": _shown(here) if here else None,
            "needs": {str(action): str(role) for action, role in NEEDS.items()} if operators else {},
            "idle_max_s": IDLE_MAX_S,
        }

    def _wrong(self, tried: Operator | None, now_s: int) -> OperatorRefused:
        locked_s = tried.locked_s(now_s) if tried else 0
        if tried is None or not locked_s:
            return OperatorRefused("operator_pin_wrong")
        self._journal(tried.name, tried.role, LOCKED_OUT, None)
        return OperatorRefused("operator_locked", locked_s)

    def _begin(self, operator: Operator) -> str:
        while len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        session = self._random_bytes(SESSION_BYTES).hex()
        self._sessions[session] = Session(operator, self._clock.monotonic_s())
        return session

    def _journal(self, operator: str, role: str, action: str, subject: str | None) -> None:
        body: Mapping[str, Any] = {
            "operator": operator, "role": str(role), "action": str(action), "subject": subject,
        }  # fmt: skip
        self._ledger.record([Draft(Kind.OPERATOR, body)], self._reading())


def _shown(operator: Operator) -> dict[str, str]:
    return {"operator": operator.name, "role": str(operator.role)}
