"""One row of the table of calls: everything that serving, guarding and describing a call needs.

The one rule: what is true of a call is said once, in its row.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from agent.core.operators import Action
from agent.local.access import SELLERS, Caller
from agent.local.answers import Answer
from agent.local.problems import Call
from agent.local.requests import Body


@dataclass(frozen=True, slots=True)
class Served:
    """One call. ``who`` may make it, ``does`` says what it is for, ``body`` is the shape of its request.

    ``answer``: the shape of its answer, None: no JSON; ``query``: names of
    ``description.PARAMETERS``; ``opens``: a link, which begins a page's session as this caller; ``needs``: an operator
    who may do this; ``says_why``: the call itself asks for that operator, once it has read the reason.
    """

    method: str
    path: str
    call: Call
    does: str
    who: Set[Caller] = SELLERS
    body: type[Body] | None = None
    opens: Caller | None = None
    needs: Action | None = None
    answer: type[Answer] | None = None
    query: tuple[str, ...] = ()
    says_why: bool = False
