"""Times and amounts as an operator reads them.

The one rule: UTC, and the zone is said.
"""

from __future__ import annotations

from datetime import UTC, datetime


def moment(at_s: int) -> str:
    """RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: int) -> str:
    """The two largest units: 3 d 4 h."""
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])
