"""A risk officer's table of cases: situations in a few columns, and what the policy must answer to each.

The one rule: a case states what differs from an ordinary sale; whatever the table does not name is `ORDINARY`, and a
column or a cell that cannot be read is told with its line, never skipped.

A table is CSV with a header. Columns are names of `Situation` (amounts as 128.00 or in minor units, yes or no, whole
seconds), besides `case` (a name), `code` and `reason` (both required), and `rules` (ids, all that spoke). Lines that
begin with # are remarks; an empty cell leaves what is ordinary.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from agent.core.decision import decide
from agent.core.policy import Policy
from agent.core.situation import FIELDS, Situation

EXPECTED: Final[tuple[str, ...]] = ("code", "reason", "rules")
_AMOUNT: Final = re.compile(r"(\d{1,13})(?:\.(\d\d))?", re.ASCII)
_WHOLE: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_WORDS: Final = {"yes": True, "no": False, "true": True, "false": False}

ORDINARY: Final[dict[str, Any]] = {name: variable.low for name, variable in FIELDS.items()} | {
    "sale_amount_minor": 12_800,
    "sale_merchant_category": "5411",
    "clock_trusted": True,
    "clock_source": "signed",
    "clock_minute_of_day": 16 * 60,
    "pass_tier": 2,
    "pass_user_verified": True,
    "pass_cap_minor": 8_000,
    "probe_draw": 99,
    "snapshot_sequence": 1,
    "snapshot_age_s": 3_600,
    "snapshot_soft_age_s": 86_400,
    "snapshot_hard_age_s": 3 * 86_400,
    "account_known": True,
    "account_tier": 2,
    "lease_minor": 50_000,
    "lease_left_s": 3_600,
}
"""Groceries for 128.00 at 16:00, the phone unlocked, a lease of 500.00, a snapshot of an hour, nothing sold before."""


class CasesError(ValueError):
    """A table that cannot be read; `.faults` has one sentence for each thing wrong, with its line."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Case:
    """One line: where it stands, its name, the situation, what is expected by column."""

    line: int
    name: str
    situation: Situation
    expected: dict[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """A case that the policy answers otherwise in one column."""

    case: Case
    column: str
    expected: str
    answered: str


def read_cases(text: str, policy: Policy) -> list[Case]:
    """The cases of a table, as situations of this policy's lender. Raises CasesError with all faults."""
    written = enumerate(text.removeprefix("\ufeff").splitlines(), 1)  # spreadsheets begin a file with U+FEFF
    lines = [(number, line) for number, line in written if line.strip(" ,\t") and line.lstrip('"')[:1] != "#"]
    if not lines:
        raise CasesError("the table is empty")
    header, *rows = (_cells(number, line) for number, line in lines)
    names = [name.strip() for name in header]
    faults = [f"line {lines[0][0]}: unknown column {name!r}" for name in names if not _is_column(name)]
    faults += [f"line {lines[0][0]}: column {name!r} is missing" for name in ("code", "reason") if name not in names]
    faults += [f"line {lines[0][0]}: column {name!r} is there twice" for name in sorted(_twice(names))]
    if not rows and not faults:
        faults.append("the table has no cases")
    if faults:
        raise CasesError(*faults)
    base = ORDINARY | {"lender": policy.lender, "sale_currency": policy.currency, "clock_at_s": policy.issued_at}
    ordinary, cases = Situation(**base), []
    for (number, _), row in zip(lines[1:], rows, strict=True):
        cells = {name: cell.strip() for name, cell in zip(names, row, strict=False)}
        if len(row) != len(names):
            faults.append(f"line {number}: {len(row)} cells, the header has {len(names)}")
            continue
        cases.append(_case(number, cells, ordinary, faults))
    if faults:
        raise CasesError(*faults)
    return cases


def differences(cases: list[Case], policy: Policy) -> Iterator[Difference]:
    """Where the policy answers otherwise than a case expects."""
    for case in cases:
        decision = decide(case.situation, policy)
        rules = " ".join(fired.rule_id for fired in decision.fired)
        answered = {"code": decision.response_code, "reason": decision.reason, "rules": rules}
        for column, expected in case.expected.items():
            if expected != answered[column]:
                yield Difference(case, column, expected, answered[column])


def _cells(number: int, line: str) -> list[str]:
    """One line at a time: a quotation mark that is never closed spoils its own line only."""
    try:
        return next(csv.reader([line]))
    except csv.Error as error:
        raise CasesError(f"line {number}: {error}") from None


def _is_column(name: str) -> bool:
    return name in FIELDS or name in EXPECTED or name == "case"


def _case(line: int, cells: dict[str, str], ordinary: Situation, faults: list[str]) -> Case:
    changes: dict[str, Any] = {}
    for name, cell in cells.items():
        if name in FIELDS and cell:
            try:
                changes[name] = _value(name, cell)
            except ValueError:
                faults.append(f"line {line}: {name} cannot be {cell!r:.40}; it is {_allowed(name)}")
    expected: dict[str, str] = {name: " ".join(cells[name].split()) for name in EXPECTED if name in cells}
    return Case(line, cells.get("case") or f"line {line}", replace(ordinary, **changes), expected)


def _value(name: str, cell: str) -> Any:
    variable = FIELDS[name]
    if isinstance(variable.low, bool):
        if cell.lower() not in _WORDS:
            raise ValueError(cell)
        return _WORDS[cell.lower()]
    if isinstance(variable.low, str):
        return cell
    value = _minor(cell) if name.endswith("_minor") else _whole(cell)
    if not int(variable.low) <= value <= int(variable.high):
        raise ValueError(cell)
    return value


def _allowed(name: str) -> str:
    """What a cell of a column may be, in words."""
    variable = FIELDS[name]
    if isinstance(variable.low, bool):
        return "yes or no"
    kind = "an amount like 128.00, or minor units" if name.endswith("_minor") else "a whole number"
    return f"{kind} from {variable.low} to {variable.high}"


def _twice(names: list[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}


def _whole(cell: str) -> int:
    if _WHOLE.fullmatch(cell) is None:
        raise ValueError(cell)
    return int(cell)


def _minor(cell: str) -> int:
    match = _AMOUNT.fullmatch(cell)
    if match is None:
        raise ValueError(cell)
    return int(match[1] + match[2]) if match[2] else int(match[1])
