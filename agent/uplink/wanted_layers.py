"""Layers for a restored backend: it signed them, forgot them, and asks the lanes that hold them (lease rule 13).

The one rule: nothing is sent that was not asked for, and nothing is remembered: what still lacks is asked for again
with the next heartbeat.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

from agent.uplink.client import BackendClient
from agent.uplink.faults import BackendFault
from agent.uplink.lane_side import LaneSide
from agent.uplink.link import Link

PIECE_BYTES: Final = 256 << 10

_log = logging.getLogger(__name__)


class WantedLayers:
    """Sends layers one after the other. `want` is how the heartbeat hands on what the backend asks for."""

    def __init__(self, lane: LaneSide, client: BackendClient, link: Link) -> None:
        self._lane, self._client, self._link = lane, client, link
        self._wanted: dict[tuple[str, int], None] = {}
        self._asked = asyncio.Event()

    def want(self, layers: Sequence[tuple[str, int]]) -> None:
        self._wanted |= dict.fromkeys(layers)
        self._asked.set()

    async def run(self) -> NoReturn:
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._wanted:
                lender, sequence = next(iter(self._wanted))
                await self._send(lender, sequence)
                self._wanted.pop((lender, sequence), None)

    async def _send(self, lender: str, sequence: int) -> None:
        path = await self._lane.layer_path(lender, sequence)
        try:
            if path is not None:
                with _opened(path) as file:
                    await self._client.send_layer(lender, sequence, _pieces(file), os.fstat(file.fileno()).st_size)
        except BackendFault as fault:
            self._link.untimed(fault)
            _log.warning("a layer was not taken: %s", fault.message, extra={"lender": lender, "sequence": sequence})
        except OSError as error:
            _log.warning("a layer cannot be read: %s", error.strerror, extra={"lender": lender, "sequence": sequence})


def _opened(path: str) -> BinaryIO:
    return Path(path).open("rb")


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece
