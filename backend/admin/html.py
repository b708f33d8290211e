"""HTML as a tree of strings, escaped where they enter it.

The one rule: a string becomes markup only through ``tag``; whatever else is put on the page is text.
"""

from __future__ import annotations

import html
from collections.abc import Iterable


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, *inside: str, **attributes: str) -> Markup:
    """An element; ``class_`` is written as class. Plain strings inside are escaped, Markup is not."""
    shown = "".join(f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{shown}>{join(inside)}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    return Markup("".join(part if isinstance(part, Markup) else escaped(part) for part in parts))


def escaped(text: str) -> Markup:
    """Text as it is seen: a control or direction character shows as its code and cannot reorder the line."""
    seen = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
    return Markup(html.escape(seen))
