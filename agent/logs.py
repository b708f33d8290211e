"""The agent's log: one JSON object per line, with the journal's priority in front when systemd reads it.

The rule: nothing personal and nothing secret leaves through the log. Field names are allow-listed (others are dropped),
and every string is cleared of what looks like a key, a pass, an account token or a payment code, whoever put it there.
"""

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

# Extra fields that may be logged. A new one is added here only after asking whether it could name a person.
FIELDS: Final = frozenset(
    {
        "attempt",
        "backlog",
        "bytes",
        "code",
        "count",
        "device",
        "elapsed_ms",
        "entries",
        "epoch",
        "lane",
        "lender",
        "number",
        "pid",
        "port",
        "reason",
        "retry_s",
        "role",
        "sale_id",
        "sequence",
        "signal",
        "state",
        "store",
        "version",
    }
)
# systemd.journal: "<N>" before a line is its syslog priority (sd-daemon(3)).
PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
TEXT_MAX: Final = 500
_SALE_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,36}")
_SECRET: Final = re.compile(
    r"-----BEGIN[\s\S]*?(?:-----END[^-]*-----|\Z)"  # PEM, also when cut off
    r"|(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}[ :]?){15,}[0-9A-Fa-f]{2}"  # hex of 16 bytes and more: account tokens, keys
    r"|\\x[0-9a-f]{2}.*"  # bytes shown by repr
    r"|(?:\d[ -]?){13,}\d"  # wallet codes, card numbers (ISO/IEC 7812: up to 19 digits)
    r"|(?=[a-z0-9+/_=-]*[A-Z])[A-Za-z0-9+/_=-]{40,}"  # base64 (but no lower-case path): passes, signatures, keys
)


def scrub(text: str) -> str:
    """The text without anything that looks like a secret or a person, at most `TEXT_MAX` characters long."""
    return _SECRET.sub("[removed]", text)[:TEXT_MAX]


def _field(name: str, value: object) -> object:
    if isinstance(value, str):
        # A sale id is the POS's own number and may well be 32 hex digits: its grammar is the check.
        return value if name == "sale_id" and _SALE_ID.fullmatch(value) else scrub(value)
    return value


def _extras(record: Mapping[str, object]) -> dict[str, object]:
    return {
        name: _field(name, record[name])
        for name in sorted(FIELDS & record.keys())
        if record[name] is None or type(record[name]) in (str, int, float, bool)
    }


def _message(record: logging.LogRecord) -> str:
    try:
        return scrub(record.getMessage())
    except Exception:  # a wrong format string must not cost the line, nor the sale behind it
        return f"{record.module}:{record.lineno}: a message that cannot be formatted"


def _fault(record: logging.LogRecord) -> dict[str, object]:
    if not record.exc_info or record.exc_info[1] is None:
        return {}
    error = record.exc_info[1]
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = " > ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames)
    return {"error": scrub(f"{type(error).__name__}: {error}"), "where": where}


class JsonLines(logging.Formatter):
    """One JSON object per record: at (UTC), level, logger, message, allowed fields, and for a fault error and where."""

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {"at": at, "level": record.levelname.lower(), "logger": record.name}
        line |= {"message": _message(record), **_extras(record.__dict__), **_fault(record)}
        prefix = next(f"<{number}>" for level, number in PRIORITIES if record.levelno >= level) if self._journal else ""
        return prefix + json.dumps(line)  # ASCII: no control or half character reaches a terminal


def reads_journal(stream: TextIO) -> bool:
    """Whether the stream leads to the journal: systemd.exec(5) has its device and inode in JOURNAL_STREAM."""
    try:
        stat = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


def configure(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Make `stream` (standard error unless told) the only log of this process."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(journal=reads_journal(stream)))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "asyncio", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
