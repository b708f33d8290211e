"""What a scanner can be told on its serial line: beep, trigger, release, enable, disable. Rule: makers are data.

The bytes are those of manuals; none has been tried at a device yet.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from drivers.errors import AddressError, OptionError
from drivers.scanners.lines import line_to

_WRITE_S = 1.0


@cache
def _table() -> dict[str, dict[str, str]]:
    table = json.loads(Path(__file__).with_name("commands.json").read_text(encoding="utf-8"))
    return {maker: row for maker, row in table.items() if maker != "about"}


def command(maker: str, name: str) -> bytes:
    """The bytes for `Scanner.send`. Raises OptionError when this maker's scanners know no such command."""
    if maker not in _table():
        raise OptionError(f"nobody knows the commands of {maker!r}; makers: {', '.join(_table())}")
    known = _table()[maker]
    if name not in known:
        others = [other for other, row in _table().items() if name in row]
        which = f"; those of {' and '.join(others)} do" if others else ""
        raise OptionError(f"scanners of {maker} do not know {name!r}{which}; theirs: {', '.join(sorted(known))}")
    return bytes.fromhex(known[name])


def tell(address: str, maker: str, name: str) -> str:
    """Sends one command to the scanner at an address, and returns where it went.

    Raises OptionError, AddressError (also for a scanner that is not on a serial line), TransportError.
    """
    data, line = command(maker, name), line_to(address, {})
    if line.kind in ("keyboard", "hidpos", "camera"):
        raise AddressError(f"{address} takes no commands: only scanners on a serial line do")
    line.transport.open(line.open_s)
    try:
        node = line.node()
        if line.kind == "located" and (node is None or node.kind != "serial"):
            raise AddressError(f"{node.address if node else address} takes no commands: only a serial line does")
        line.transport.write(data, _WRITE_S)
        return node.address if node else address
    finally:
        line.transport.close()
        if line.stand_in is not None:
            line.stand_in.close()
