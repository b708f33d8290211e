"""Receipt programs of others that run on Node: receiptio asks printers how they are, receiptline makes their bytes.

The one rule: `package-lock.json` beside this file pins them, and `make services` puts them where the tests look.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

_MODULES: Final = Path(__file__).parents[3] / ".venv/peers/node_modules"
_ANSWER_S: Final = 120
_EXITS: Final = {
    100: "online", 101: "coveropen", 102: "paperempty", 103: "error", 104: "offline", 105: "disconnect",
    106: "timeout", 200: "drawerclosed", 201: "draweropen",
}  # fmt: skip
"""receiptio's own list (`receiptio -h`); it ends before a pipe has its words."""
needed = pytest.mark.skipif(
    shutil.which("node") is None or not _MODULES.is_dir(),
    reason="receiptio and receiptline, which need Node, are not installed: `make services`",
)


def receiptio_says(host: str, of: str = "printer") -> str:
    """online, coveropen, paperempty, error, offline, disconnect, timeout; of="drawer": drawerclosed, draweropen."""
    command = ["node", _MODULES / "receiptio/bin/cli.js", "-d", host, "-q", of, "-p", "escpos"]
    done = subprocess.run(command, capture_output=True, timeout=_ANSWER_S, check=False)
    return _EXITS[done.returncode]


def receiptline_bytes(text: str, encoding: str) -> bytes:
    """The text as ESC/POS in that encoding (gb18030, big5, shiftjis, ksc5601)."""
    script = (
        "const [text, encoding] = JSON.parse(process.argv[1]);"
        "const done = require('receiptline').transform(text, {cpl: 48, encoding, command: 'escpos', cutting: true});"
        "process.stdout.write(Buffer.from(done, 'binary'))"
    )
    command = ["node", "-e", script, json.dumps([text, encoding])]
    return subprocess.run(command, cwd=_MODULES.parent, capture_output=True, timeout=_ANSWER_S, check=True).stdout
