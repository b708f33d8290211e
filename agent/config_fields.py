"""What every section of the settings is made of: how a field says its default, its range, its unit and its reason.

The one rule: what is allowed is said in words beside the check, so that no message has to guess it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def whole(default: int, low: int, high: int, unit: str, why: str) -> Any:
    """A number within bounds, both included."""
    allowed = f"a whole number from {low} to {high} {unit}"
    return Field(default=default, ge=low, le=high, description=why, json_schema_extra={"allowed": allowed})


def text(default: str, pattern: str, allowed: str, why: str) -> Any:
    """Words that a pattern describes."""
    return Field(default=default, pattern=pattern, description=why, json_schema_extra={"allowed": allowed})


def value(default: object, allowed: str, why: str, *, strict: bool = True) -> Any:
    """Anything else; not `strict`: read from text, as a path is."""
    return Field(default=default, description=why, strict=strict, json_schema_extra={"allowed": allowed})


def must(holds: Callable[[Any], bool]) -> AfterValidator:
    """A check for `Annotated`, of what no pattern can say."""

    def check(given: Any) -> Any:
        if not holds(given):
            raise ValueError("not allowed")
        return given

    return AfterValidator(check)


class Section(BaseModel):
    """A section of the file: unknown keys are refused, nothing is converted silently, nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)
