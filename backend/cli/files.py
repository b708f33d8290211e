"""The files of a backend's directory that verbs write.

The one rule: what holds a private key has mode 0600 from its first moment.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

DATABASE_NOTE: Final = "database.url"
"""Holds the URL of the database, which may hold a password."""


def write_private(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


def database_of(args: argparse.Namespace) -> str | None:
    """Where the books lie: a URL, or the path of a SQLite file in the directory; None when there are none."""
    if args.database:
        return str(args.database)
    noted, file = args.dir / DATABASE_NOTE, args.dir / "backend.db"
    if noted.exists():
        return str(noted.read_text().strip())
    return str(file) if file.exists() else None


def phone_path(args: argparse.Namespace, account: str) -> Path:
    """The test phone of an account."""
    path: Path = args.dir / "phones" / f"{account}.json"
    return path


def save_phone(args: argparse.Namespace, account: str, phone: str) -> None:
    path = phone_path(args, account)
    path.parent.mkdir(exist_ok=True)
    write_private(path, phone.encode())
