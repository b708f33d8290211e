"""The tables of scanners and printers, from ids, recordings and profiles. Rule: what was only emulated is called so.

`python -m drivers.hardware_table tests/recordings > docs/hardware.md`
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from drivers.models import known_models
from drivers.printers.profiles import PROFILES, Profile
from drivers.recording import Recording, load

_HEAD: Final = """# Hardware

Made by `python -m drivers.hardware_table tests/recordings` from `drivers/models.json`, the recordings and
`drivers/printers/overlay.toml`; do not edit.

## Scanners

- **recorded**: a real device sent it, and the tests replay what it sent (`counterfoil devices record` makes the file).
- **emulated**: played to the program as the kernel shows the device; no device of that model has been tried.
- **listed**: its USB id is known, so that `auto` finds it; nothing of it has been tried.

Any other scanner works too, when it is configured by its address: as a serial port, in HID-POS mode, or as a keyboard.

| model | USB id | line | tried | source of the id |
| --- | --- | --- | --- | --- |"""
_PRINTERS: Final = """
## Printers

- **emulated**: a program plays it in the tests, the one that is named; no printer of that model has been tried.
- **listed**: what the database of python-escpos, or a manual, says of it; nothing of it has been tried.

Chinese **drawn** is printed as dots: slow, and always right; **struck** is the same by needles. **Proof** is how a job
is known to be on paper: the printer echoes the job's id, or answers behind the job (barrier), or says nothing (none).

| profile | columns | Chinese | answers | proof | tried |
| --- | --- | --- | --- | --- | --- |"""
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
    return "\n".join([*rows, _PRINTERS, *map(_printer, PROFILES.values())]) + "\n"


def _printer(one: Profile) -> str:
    chinese = one.characters if one.kanji else "drawn" if one.pictures == "raster" else "struck"
    tried = f"emulated: {one.played_by}" if one.played_by else "listed"
    answers, proof = "yes" if one.answers_status else "no", one.confirmation.replace("process_id", "echo")
    return f"| `{one.name}` | {one.columns} | {chinese} | {answers} | {proof} | {tried} |"


def main() -> None:
    """Writes the page of a folder of recordings to standard output. Raises RecordingError."""
    sys.stdout.write(table(load(path) for path in sorted(Path(sys.argv[1]).glob("*.json"))))


if __name__ == "__main__":
    main()
