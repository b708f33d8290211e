"""The table of supported scanners, from the id table and the recordings. Rule: what was only emulated is called so.

`python -m drivers.hardware_table tests/recordings > docs/hardware.md`
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from drivers.models import known_models
from drivers.recording import Recording, load

_HEAD: Final = """# Scanners

Made by `python -m drivers.hardware_table tests/recordings` from `drivers/models.json` and the recordings; do not edit.

- **recorded**: a real device sent it, and the tests replay what it sent (`counterfoil devices record` makes the file).
- **emulated**: played to the program as the kernel shows the device; no device of that model has been tried.
- **listed**: its USB id is known, so that `auto` finds it; nothing of it has been tried.

Any other scanner works too, when it is configured by its address: as a serial port, in HID-POS mode, or as a keyboard.

| model | USB id | line | tried | source of the id |
| --- | --- | --- | --- | --- |"""
_TRIED: Final = {"device": "recorded", "emulated": "emulated"}
_LINES: Final = {"serial": "serial", "keyboard": "keyboard", "hidpos": "HID-POS"}


def table(recordings: Iterable[Recording]) -> str:
    """The whole page."""
    made: dict[tuple[str, str], Recording] = {
        (one.model_id, one.kind): one for one in sorted(recordings, key=lambda one: one.source, reverse=True)
    }
    rows = [_HEAD]
    for model in known_models():
        one = made.pop((model.id, model.mode), None)
        tried = _TRIED[one.source] if one else "listed"
        rows.append(f"| {model.name} | {model.id} | {_LINES[model.mode]} | {tried} | {model.source} |")
    for one in made.values():
        name, ids = one.name or "of no name", one.model_id.strip(":") or "none"
        rows.append(f"| {name} | {ids} | {_LINES[one.kind]} | {_TRIED[one.source]} | the recording |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Writes the page of a folder of recordings to standard output. Raises RecordingError."""
    sys.stdout.write(table(load(path) for path in sorted(Path(sys.argv[1]).glob("*.json"))))


if __name__ == "__main__":
    main()
