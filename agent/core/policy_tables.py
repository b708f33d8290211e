"""The tables of a policy: what depends on the merchant category, or on the hour of the day.

The one rule: a category has four digits (ISO 18245), a minute of the day is the store's, and a table that is read is
whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from agent.core.money import MINOR_MAX
from agent.core.policy_fields import Check, PolicyError, as_list, as_map, read, whole

DAY_MINUTES: Final = 24 * 60
CATEGORIES_MAX: Final = 1_000
KMH_MAX: Final = 2_000
_CATEGORY: Final = re.compile(r"[0-9]{4}", re.ASCII)


def by_category(check: Check) -> Check:
    """A map from categories to what ``check`` reads."""

    def table(value: Any) -> Mapping[str, Any]:
        fields = as_map(value)
        faults = [f"{name!r:.20} is no category of 4 digits" for name in fields if not _CATEGORY.fullmatch(str(name))]
        values = {str(name): read(fields, faults, name, check) for name in fields}
        if faults:
            raise PolicyError(*faults)
        return MappingProxyType(values)

    return table


floor_limits: Final = by_category(whole(0, MINOR_MAX))


def hours_of_day(value: Any) -> tuple[int, int]:
    """[from, to] in minutes of the store's day, `to` excluded; from above to runs over midnight."""
    items = as_list(value, 2)
    if len(items) != 2:
        raise PolicyError("must be [from, to] in minutes of the day")
    begin, end = (whole(0, DAY_MINUTES)(item) for item in items)
    return begin, end


hours: Final = by_category(hours_of_day)


def categories(value: Any) -> frozenset[str]:
    """A list of categories."""
    items = as_list(value, CATEGORIES_MAX)
    faults = [f"{item!r:.20} is no category of 4 digits" for item in items if not _CATEGORY.fullmatch(str(item))]
    if faults:
        raise PolicyError(*faults)
    return frozenset(map(str, items))


def kmh_by_hour(value: Any) -> tuple[int, ...]:
    """24 whole numbers: the fastest plausible speed in km/h for each hour of the store's day."""
    items = as_list(value, 24)
    if len(items) != 24:
        raise PolicyError(f"must be 24 speeds, one for each hour of the day, not {len(items)}")
    return tuple(whole(1, KMH_MAX)(item) for item in items)
