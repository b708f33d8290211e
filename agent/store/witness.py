"""The witness of the journal's head: a small file beside the state directory, which no backup may include.

The one rule: the file is replaced as a whole; a witness that cannot be read is no witness, and never an obstacle.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent.core import cbor
from agent.core.witness import Witnessed


class WitnessFile:
    """Implements ``ports.Witness``. ``machine`` is a digest that names this computer."""

    def __init__(self, path: Path, machine: bytes) -> None:
        self._path = path
        self.machine = machine

    def read(self) -> Witnessed | None:
        try:
            fields = cbor.decode(self._path.read_bytes())
        except (OSError, cbor.CborError):
            return None
        match fields:
            case [bytes(machine), str(lane), int(epoch), int(number), bytes(digest)]:
                return Witnessed(machine, lane, epoch, number, digest)
        return None

    def write(self, said: Witnessed) -> bool:
        draft = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(cbor.encode([said.machine, said.lane, said.epoch, said.number, said.hash]))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError:
            return False
        return True
