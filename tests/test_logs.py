"""The log carries what support needs and nothing that names a person, whatever a caller hands to it."""

import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import logs

TOKEN = "00112233445566778899aabbccddeeff"
PASS = "hQVDUFYwMWFdTwfwQ0ZPSUwBUAtDUkVESVQgUEFTU2NF3wEgbGVuZGVyLWNyZWRlbnRpYWw" * 4
PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n-----END PRIVATE KEY-----"
SECRETS = {
    "account token": TOKEN,
    "account token, spaced": " ".join(TOKEN[i : i + 2] for i in range(0, 32, 2)),
    "credit pass": PASS,
    "PEM": PEM,
    "PEM cut off": PEM[:40],
    "bytes": repr(bytes.fromhex("fff0c1c2c3c4c5c6c7c8")),
    "wallet code": "281234567890123456",
    "card number": "6225 8812 3456 7890 123",
}
CORES = [TOKEN, TOKEN[:20], PASS[:24], "MIGHAgEA", "xc1", "1234567890123456", "8812 3456"]


def lines(record: logging.LogRecord, *, journal: bool = False) -> str:
    return logs.JsonLines(journal=journal).format(record)


def record(message: object, *args: object, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    return logging.getLogger("agent.test").makeRecord(
        "agent.test", level, "x.py", 1, message, args, None, extra=extra or None
    )


def test_a_line_is_one_json_object_with_time_level_logger_message_and_fields() -> None:
    line = json.loads(lines(record("sent %d entries", 500, count=500, sale_id="S-20261122-1")))
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "agent.test",
        "message": "sent 500 entries",
        "count": 500,
        "sale_id": "S-20261122-1",
    }


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("place", ["message", "argument", "allowed field", "other field", "sale_id", "error"])
def test_no_secret_leaves_by_any_way(name: str, place: str) -> None:
    secret = SECRETS[name]
    if place == "sale_id" and name in ("account token", "wallet code"):
        pytest.skip("32 hex digits and 18 digits are lawful sale ids of a POS")
    try:
        raise ValueError(f"cannot use {secret} here") if place == "error" else ValueError("x")
    except ValueError as error:
        exc_info = (ValueError, error, error.__traceback__)
    entry = {
        "message": lambda: record(f"seen {secret} there"),
        "argument": lambda: record("seen %s there", secret),
        "allowed field": lambda: record("seen", reason=secret),
        "other field": lambda: record("seen", account=secret, pass_code=secret.encode(), key={"pem": secret}),
        "sale_id": lambda: record("seen", sale_id=secret),
        "error": lambda: record("seen"),
    }[place]()
    entry.exc_info = exc_info if place == "error" else None
    line = lines(entry)
    assert not [core for core in CORES if core in line]
    assert json.loads(line)["message"].startswith("seen")


def test_paths_ids_and_amounts_stay_readable() -> None:
    text = (
        "0193a5c4-7c1e-7d2b-8f00-1a2b3c4d5e6f in /var/lib/counterfoil/snapshots/lender/layer at 12800 CNY, 2026-11-22"
    )
    assert logs.scrub(text) == text


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("never formatted")

    __repr__ = __str__


@pytest.mark.parametrize(
    "entry",
    [
        record("%d entries", "many"),
        record("%s", Hostile()),
        record(Hostile()),
        record("x", reason=Hostile(), count=[1], state={"a": 1}),
        record("two\nlines\x00\x1b[31m\x9b31m"),
        record("half a character \ud800"),
    ],
)
def test_what_cannot_be_formatted_still_gives_one_valid_line(entry: logging.LogRecord) -> None:
    line = lines(entry)
    assert line.isascii() and line.isprintable()
    assert json.loads(line).keys() <= {"at", "level", "logger", "message"}


@given(st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda k: k not in logs.FIELDS), st.text()))
def test_a_field_that_is_not_on_the_list_is_dropped(extra: dict[str, str]) -> None:
    entry = record("x")
    entry.__dict__.update({f"x_{key}": value for key, value in extra.items()})
    assert json.loads(lines(entry)).keys() == {"at", "level", "logger", "message"}


def test_a_fault_tells_where_in_one_line() -> None:
    try:
        Path("/nowhere/at/all").stat()
    except OSError:
        entry = record("the ledger cannot be opened")
        entry.exc_info = sys.exc_info()
    line = json.loads(lines(entry))
    assert line["error"].startswith("FileNotFoundError")
    assert "test_a_fault_tells_where_in_one_line" in line["where"]


@pytest.mark.parametrize(
    ("level", "prefix"),
    [(logging.CRITICAL, "<2>"), (logging.ERROR, "<3>"), (logging.WARNING, "<4>"), (logging.INFO, "<6>"), (5, "<7>")],
)
def test_the_journal_gets_the_priority_in_front(level: int, prefix: str) -> None:
    line = lines(record("x", level=level), journal=True)
    assert line.startswith(prefix + "{")


def test_the_journal_is_known_by_its_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "stderr").open("w") as stream:
        stat = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
        assert logs.reads_journal(stream)
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino + 1}")
        assert not logs.reads_journal(stream)
    assert not logs.reads_journal(io.StringIO())


@pytest.fixture
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.mark.usefixtures("root_logger")
def test_a_http_library_does_not_write_addresses_into_the_log() -> None:
    stream = io.StringIO()
    logs.configure(logging.INFO, stream)
    logging.getLogger("httpx").info("GET https://backend/v1/authorizations/lender/sale/1")
    logging.getLogger("agent.uplink").info("online", extra={"elapsed_ms": 12})
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["elapsed_ms"] == 12
