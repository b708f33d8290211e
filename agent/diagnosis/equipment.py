"""Scanners and what else stands at the counter, each really tried: by the agent that holds them, or here without it.

The one rule: a device that is not configured is no fault; one that is, and cannot work, says what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from agent.diagnosis.case import Case
from agent.diagnosis.examination import Finding, failed, ok, warning

STILL_WORKS: Final = ("paper_near_end",)
"""Reasons for which a slip still prints."""


def scanners(case: Case) -> Iterator[Finding]:
    if not case.config.scanner:
        yield ok("none configured: the till must send the codes")
    yield from (_finding(row) for row in case.devices if row["kind"] == "scanner")


def printer(case: Case) -> Iterator[Finding]:
    if not case.config.printer.address:
        yield ok("none configured: slips are shown only")
    yield from (_finding(row) for row in case.devices if row["kind"] == "printer")


def drawer(case: Case) -> Iterator[Finding]:
    yield from _on_printer(case, "drawer", "A drawer opens through the printer.", attached=case.config.drawer.attached)


def beeper(case: Case) -> Iterator[Finding]:
    yield from _on_printer(case, "beeper", "The printer makes it sound.", attached=case.config.beeper.attached)


def _on_printer(case: Case, kind: str, because: str, *, attached: bool) -> Iterator[Finding]:
    if not attached:
        yield ok("none configured")
    elif not case.config.printer.address:
        yield failed("attached, but there is no printer", because, "Set printer.address.")
    yield from (_finding(row) for row in case.devices if row["kind"] == kind)


def display(case: Case) -> Iterator[Finding]:
    if not case.config.display.address:
        yield ok("none configured")
    yield from (_finding(row) for row in case.devices if row["kind"] == "display")


def _finding(row: dict[str, Any]) -> Finding:
    said = f"{row['name']} at {row['address']}"
    if not row["reason"]:
        return ok(f"{said}: {row['state']}")
    if row["reason"] in STILL_WORKS:
        return warning(said, f"It works, but: {row['reason'].replace('_', ' ')}.", row["text"])
    remedy = f"{row['text']} Then: counterfoil devices list"
    return failed(said, f"It cannot work: {row['reason'].replace('_', ' ')}.", remedy)
