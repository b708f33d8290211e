"""How one field of a policy is checked, and how its faults are told: by the field's name, all at once.

The one rule: a check gives the value as the policy keeps it, or raises PolicyError; it never repairs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from agent.core.money import MoneyError
from agent.core.plans import PlanError


class PolicyError(ValueError):
    """A document that is no policy; `.faults` has one sentence for each thing wrong."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


Check: TypeAlias = Callable[[Any], Any]


def read(payload: Mapping[Any, Any], faults: list[str], name: str, check: Check) -> Any:
    """One field, checked; its faults are added to the list, prefixed with the field's name."""
    if name not in payload:
        faults.append(f"{name}: is missing")
        return None
    try:
        return check(payload[name])
    except (PolicyError, PlanError) as error:
        faults.extend(f"{name}: {fault}" for fault in error.faults)
    except MoneyError as error:
        faults.append(f"{name}: {error}")
    return None


def match(pattern: re.Pattern[str], wanted: str) -> Check:
    """A text of this form."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise PolicyError(f"must be {wanted}, not {value!r:.60}")
        return value

    return check


def whole(low: int, high: int) -> Check:
    """A whole number in this range."""

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise PolicyError(f"must be a whole number from {low} to {high}, not {value!r:.60}")
        return value

    return check


def one_of(values: Sequence[str]) -> Check:
    """One of a few texts."""

    def check(value: Any) -> str:
        if value not in values:
            raise PolicyError(f"must be one of {', '.join(values)}, not {value!r:.60}")
        return str(value)

    return check


def text(value: Any) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise PolicyError("must be a text")
    return value


def as_map(value: Any) -> Mapping[Any, Any]:
    """A map of whatever."""
    if not isinstance(value, Mapping):
        raise PolicyError("must be a map")
    return value


def as_list(value: Any, items_max: int) -> Sequence[Any]:
    """A list of at most so many items."""
    if not isinstance(value, list | tuple) or len(value) > items_max:
        raise PolicyError(f"must be a list of at most {items_max}")
    return value
