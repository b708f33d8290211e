"""What is plugged in: scanners, ports, cameras and USB printers, each with the section to write into the configuration.

The one rule: an ordinary keyboard is never offered as a scanner, because nobody could type on it any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.config import Config
from drivers.inventory import Node, NodeKind, look
from drivers.models import is_scanner, model_of

WORDS: Final[dict[NodeKind, str]] = {
    "hidpos": "scanner", "serial": "serial", "keyboard": "scanner", "camera": "camera", "printer": "usb printer"
}  # fmt: skip
MODES: Final[dict[NodeKind, str]] = {"hidpos": ", HID-POS", "keyboard": ", types as a keyboard"}


@dataclass(frozen=True, slots=True)
class Found:
    """A device that the system sees. ``section``: what to paste into agent.toml, "" when it is configured already."""

    kind: str
    address: str
    description: str
    section: str


def discover(config: Config, root: Path = Path("/")) -> list[Found]:
    """Everything that could be a scanner or a printer. Nothing is opened."""
    addresses = [config.printer.address, *(scanner.address for scanner in config.scanner.values())]
    taken = {*addresses, *(str((root / path.lstrip("/")).resolve()) for _, _, path in map(_split, addresses) if path)}
    return [found(node, taken, root) for node in look(root) if node.kind != "keyboard" or is_scanner(node)]


def found(node: Node, taken: set[str], root: Path = Path("/")) -> Found:
    """One device in the words of the configuration."""
    is_taken = node.address in taken or str((root / node.path.lstrip("/")).resolve()) in taken
    model = model_of(node)
    name = model.name if model and not node.name else node.name
    kind = "scanner" if is_scanner(node) else WORDS[node.kind]
    section = "" if is_taken else _section(node)
    return Found(kind, node.address, name + MODES.get(node.kind, ""), section)


def _section(node: Node) -> str:
    if node.kind == "printer":
        return f'[printer]\naddress = "{node.address}"\nprofile = "generic-80"'
    return f'[scanner.{"camera" if node.kind == "camera" else "counter"}]\naddress = "{node.address}"'


def _split(address: str) -> tuple[str, str, str]:
    return address.partition(":")
