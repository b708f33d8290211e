"""What an operator can ask of a backend: one table of plain functions, the same behind the socket and beside it.

The one rule: an operation takes and gives what JSON can say, and answers or refuses in a sentence; whether a server
runs makes no difference to what it does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Final, NamedTuple, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from backend.accounts import AccountRefused
from backend.compose import Backend
from backend.database import FAULTS, Contended, DatabaseUnavailable
from backend.identity import IdentityError
from backend.problems import PROBLEMS, Problem

Answer = dict[str, Any]


class Progress(NamedTuple):
    """How far a long operation is, in pieces of ``what``; between two of them the server answers lanes."""

    done: int
    total: int
    what: str


Steps = Generator[Progress, None, Answer]
Operation = Callable[..., Answer | Steps]
Step = Mapping[str, Any]
"""{"progress": …} any number of times, then {"answer": …}."""


class Refused(Exception):
    """What was asked for cannot be done; the message is a sentence."""


REFUSALS: Final = (Refused, AccountRefused, Contended, DatabaseUnavailable, IdentityError, Problem, *FAULTS)


def perform(table: Mapping[str, Operation], backend: Backend, name: str, params: Mapping[str, Any]) -> Iterator[Step]:
    """Run an operation step by step. Raises Refused, and nothing else that an operator could cause."""
    try:
        result = _started(table, backend, name, params)
        if isinstance(result, dict):
            yield {"answer": result}
            return
        answer = yield from _told(result)
        yield {"answer": answer}
    except ValidationError as error:
        first = error.errors()[0]
        raise Refused(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except REFUSALS as error:
        raise Refused(sentence(error)) from error


def sentence(error: BaseException) -> str:
    """A refusal as an operator reads it."""
    if isinstance(error, Contended):
        return f"{error} is being changed by others just now; try again"
    if isinstance(error, Problem):
        return PROBLEMS[error.problem].title + (f": {error.detail}" if error.detail else "")
    return str(error) or type(error).__name__


def _started(table: Mapping[str, Operation], backend: Backend, name: str, params: Mapping[str, Any]) -> Answer | Steps:
    if name not in table:
        raise Refused(f"there is no operation {name}")
    run = table[name]
    return run(backend, **_checked(run, params))


def _checked(run: Operation, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, if they are those that the function names and of the types that it says."""
    hints = get_type_hints(run)
    named = [each for each in inspect.signature(run).parameters.values() if each.kind is each.KEYWORD_ONLY]
    fields: dict[str, Any] = {
        each.name: (hints[each.name], ... if each.default is each.empty else each.default) for each in named
    }
    model = create_model("Parameters", __config__=ConfigDict(strict=True, extra="forbid"), **fields)
    return dict(model.model_validate(dict(params)))


def _told(steps: Steps) -> Generator[Step, None, Answer]:
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        yield {"progress": progress._asdict()}
