"""A policy in words: each rule as a sentence, its condition, and the names in it with their values and meanings.

The one rule: the sentences are those that a cashier reads, so the officer who sets a limit sees what it will say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent import texts
from agent.core.cel_rules import Value
from agent.core.money import format_minor
from agent.core.policy import Policy, Rule
from agent.core.policy_cases import Case, Difference
from agent.core.policy_vocabulary import LIMITS, RULE_VARIABLES


def explained(policy: Policy, language: texts.Language) -> Iterator[str]:
    """Each rule: id and sentence, effect, condition, and every name of it."""
    limits = policy.limit_values
    for rule in policy.rules:
        effect = texts.explaining(language, f"effect_{rule.effect}", code=rule.response_code).strip()
        yield f"{rule.id}: {texts.text(language, rule.reason, 'cashier')} ({effect}; {rule.scope})"
        yield f"    {rule.when}"
        for name in rule.compiled.variables:
            yield f"    {_named(name, limits, policy.currency, language)}"
        yield from _exceptions(rule, policy)
        yield ""


def _named(name: str, limits: dict[str, Value], currency: str, language: texts.Language) -> str:
    meaning = texts.meaning(language, name, RULE_VARIABLES[name].meaning)
    if name not in LIMITS:
        return f"  {name}: {meaning}"
    value = limits[name]
    shown = format_minor(value, currency) if name.endswith("_minor") and isinstance(value, int) else value
    return f"  {name} = {shown}: {meaning}"


def _exceptions(rule: Rule, policy: Policy) -> Iterator[str]:
    """The tables behind a name: what a category has of its own."""
    names = set(rule.compiled.variables)
    if "floor_limit_minor" in names and policy.floor_limits:
        rows = (f"{code} {format_minor(minor, policy.currency)}" for code, minor in sorted(policy.floor_limits.items()))
        yield f"      floor_limit_minor by category: {', '.join(rows)}"
    if "hours_from_minute" in names and policy.hours:
        rows = (f"{code} {_clock(begin)}-{_clock(end)}" for code, (begin, end) in sorted(policy.hours.items()))
        yield f"      hours by category: {', '.join(rows)}"
    if "sale_category_excluded" in names:
        yield f"      excluded: {', '.join(sorted(policy.excluded_categories))}"
    if "sale_purpose_excluded" in names:
        yield f"      excluded: {', '.join(sorted(policy.purpose_excluded_categories))}"
    if "travel_kmh_max" in names:
        yield f"      km/h from 00:00 on, by the hour: {' '.join(map(str, policy.travel_kmh))}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def difference_table(cases: Sequence[Case], found: Sequence[Difference]) -> Iterator[str]:
    """What is answered otherwise, one row each; the last line counts."""
    if found:
        rows = [("line", "case", "column", "expected", "answered")]
        rows += [(str(row.case.line), row.case.name, row.column, row.expected, row.answered) for row in found]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        for row in rows:
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    failed = len({row.case.line for row in found})
    yield f"{len(cases)} cases, {failed} answered otherwise." if failed else f"{len(cases)} cases, all as expected."
