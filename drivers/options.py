"""Addresses and options as a configuration writes them. Rule: what is not understood is refused with its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from drivers.errors import AddressError, OptionError

Options = Mapping[str, object]
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Address:
    """`scheme:target`."""

    scheme: str
    target: str


def parse_address(text: str) -> Address:
    """Splits an address; `auto` alone has no target. Raises AddressError when it is not `scheme:target`."""
    scheme, colon, target = text.partition(":")
    if text != "auto" and (not colon or not target):
        raise AddressError(f"{text!r} is not scheme:target, such as tcp:192.0.2.7:9100 or serial:/dev/ttyACM0")
    return Address(scheme, target)


def settings(kind: type[S], given: dict[str, Any]) -> S:
    """Takes what belongs to that group of settings (a dataclass) out of the options. Raises OptionError."""
    known = fields(kind)  # type: ignore[arg-type]  # every group is a dataclass
    mine = {field.name: given.pop(field.name) for field in known if field.name in given}
    for field in known:
        default, value = field.default, mine.get(field.name, field.default)
        number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not type(default) and not number:
            raise OptionError(f"{field.name} must be {type(default).__name__}, not {value!r}")
    return kind(**mine)


def none_left(kind: str, address: str, given: Mapping[str, object]) -> None:
    """Raises OptionError for options that nothing has taken."""
    if given:
        raise OptionError(f"a {kind} at {address!r} has no option {', '.join(sorted(given))}")
