"""A check, what it finds, and the order in which checks are made.

The one rule: a check looks and changes nothing; when what it needs has failed it is skipped and says because of what,
so that the first failure on the list is the one to mend. A check that breaks is a finding like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from agent.diagnosis.case import Case

Status = Literal["ok", "warning", "failed", "skipped"]
EXIT_CODES: Final[dict[Status, int]] = {"ok": 0, "skipped": 0, "warning": 3, "failed": 4}
"""As `counterfoil status`: 3 something needs a look, 4 something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found. ``said``: a few words; ``cause`` and ``remedy``: a sentence each, when it is not well."""

    status: Status
    said: str
    cause: str = ""
    remedy: str = ""


def ok(said: str) -> Finding:
    return Finding("ok", said)


def warning(said: str, cause: str, remedy: str) -> Finding:
    return Finding("warning", said, cause, remedy)


def failed(said: str, cause: str, remedy: str) -> Finding:
    return Finding("failed", said, cause, remedy)


Look = Callable[[Case], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """``name`` is stable for scripts, ``title`` is for people; ``needs`` are names of checks further up."""

    name: str
    title: str
    look: Look
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A finding with the check that made it."""

    check: str
    title: str
    finding: Finding

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"check": self.check, "title": self.title, **asdict(self.finding)}


def examine(checks: Sequence[Check], case: Case) -> Iterator[Result]:
    """The results, each as soon as it is known."""
    first_causes: dict[str, str] = {}  # check that failed or was skipped -> title of what failed first
    for check in checks:
        cause = next((first_causes[name] for name in check.needs if name in first_causes), "")
        findings = [Finding("skipped", f"because of: {cause}")] if cause else _found(check, case)
        for finding in findings:
            if finding.status in ("failed", "skipped"):
                first_causes.setdefault(check.name, cause or check.title)
            yield Result(check.name, check.title, finding)


def exit_code(results: Iterable[Result]) -> int:
    """By the worst result."""
    return max((EXIT_CODES[result.finding.status] for result in results), default=0)


def _found(check: Check, case: Case) -> list[Finding]:
    try:
        return list(check.look(case))
    except Exception as error:  # whatever a broken machine does to a check, the others must still be made
        cause = f"The check itself failed: {type(error).__name__}: {str(error)[:200]}"
        return [failed("cannot be checked", cause, "Send the output of `counterfoil doctor --json` to support.")]
