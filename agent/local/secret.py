"""The lane's secret for loopback HTTP, and the token that POS software reads.

The one rule: the secret is the service's alone; the token in ``run_dir`` may be read by the group, as the Unix socket
beside it may be used by the group, and by nobody else.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from agent.local.access import Caller, proof_of

SECRET_BYTES: Final = 32
SECRET_MODE: Final = 0o600
TOKEN_MODE: Final = 0o640


def kept_secret(path: Path, *, new: bool = False) -> bytes:
    """The secret in the file; made when there is none, or when a ``new`` one is wanted. Raises OSError."""
    try:
        known = path.read_bytes()
    except FileNotFoundError:
        known = b""
    if new or len(known) != SECRET_BYTES:
        known = secrets.token_bytes(SECRET_BYTES)
        _write(path, known, SECRET_MODE)
    return known


def publish_token(path: Path, secret: bytes) -> None:
    """Put the token of POS software where its group finds it. Raises OSError."""
    _write(path, f"{proof_of(Caller.POS, secret)}\n".encode(), TOKEN_MODE)


def _write(path: Path, data: bytes, mode: int) -> None:
    """In place of what was there, whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
