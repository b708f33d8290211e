"""Which of the plugged-in devices are scanners. Rule: a keyboard that somebody may type on is never taken for one.

The ids are data with their sources in `models.json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from drivers.inventory import Node, NodeKind


@dataclass(frozen=True, slots=True)
class Model:
    """A scanner by its USB id, in the mode in which it has that id."""

    id: str
    name: str
    mode: NodeKind
    source: str


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("models.json").read_text(encoding="utf-8"))
    return table


@cache
def known_models() -> tuple[Model, ...]:
    """The table, in its order."""
    return tuple(Model(**row) for row in _table()["models"])


def model_of(node: Node) -> Model | None:
    """Its row in the table, None where there is none."""
    return next((model for model in known_models() if model.id == node.model_id), None)


def is_scanner(node: Node) -> bool:
    """Whether it is one without a doubt: by its own description, its product id, its maker, or its name."""
    if node.kind == "hidpos":
        return True
    if node.kind not in ("serial", "keyboard"):
        return False
    if model_of(node) or re.search(_table()["scanner_in_name"], node.name):
        return True
    mode = _table()["product_ids_end_in"].get(node.vendor_id, {}).get(node.product_id[-2:])
    return bool(mode == node.kind or (node.kind == "serial" and node.vendor_id in _table()["vendors"]))


def scanners_among(nodes: Iterable[Node]) -> list[Node]:
    """The scanners, each by its best line: HID-POS before serial before keyboard, in the order of the inventory."""
    best: dict[tuple[str, str, str], Node] = {}
    for node in filter(is_scanner, nodes):
        key = (node.vendor_id, node.product_id, node.serial or node.path)
        best.setdefault(key, node)
    return list(best.values())
