"""``make conformance``: the reference backend as a real process, and the suite against it.

    python -m tests.conformance.reference [--database=postgresql] [--json] [--only ID]

The one rule: everything goes through the commands that an operator has; a backend that ends is started again, as a
service manager would.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.conformance import kit, report, suite
from agent.demo.props import free_port
from backend.conformance_kit import LEASE_MINOR
from tests.backend import postgres_server

START_WAIT_S = 120.0
REFRESH_S = "0.5"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite", help="postgresql: it, too")
    parser.add_argument("--json", action="store_true", help="end with one object")
    parser.add_argument("--only", action="append", default=[], metavar="ID")
    args = parser.parse_args()
    runs = [_run("sqlite", None, args)]
    if args.database == "postgresql":
        with postgres_server.running() as server:
            runs.append(_run("postgresql", server.new_database(), args))
    failed = sum(run["failed"] for run in runs)
    if args.json:
        passed, skipped = (sum(run[name] for run in runs) for name in ("passed", "skipped"))
        print(json.dumps({"passed": passed, "failed": failed, "skipped": skipped, "runs": runs}, ensure_ascii=False))
    return 1 if failed else 0


def _run(name: str, url: str | None, args: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="counterfoil-conformance-") as directory,
        _backend(Path(directory), url) as at,
    ):
        path = Path(directory) / "kit.json"
        prepared = json.loads(path.read_text())
        prepared["hooks"]["restart"] = f"kill -KILL $(cat {directory}/server.pid); sleep 1"
        path.write_text(json.dumps(prepared))
        tell = (lambda _: None) if args.json else (lambda result: print(report.line(result), flush=True))
        results = suite.run(at, kit.load(path), suite.chosen(args.only), tell=tell)
    if not args.json:
        print(f"{name}: {report.summary(results)}, {time.monotonic() - began:.0f} s with its start", flush=True)
    return {"database": name, **report.document(at, results)}


@contextlib.contextmanager
def _backend(directory: Path, database: str | None) -> Iterator[str]:
    """The address of a backend with a kit beside it."""
    where = ["--dir", str(directory), *(["--database", database] if database else [])]
    _ask("init", *where)
    _ask("lender", "add", "other-lend", "--lender-name", "Other Lender", *where)
    port = free_port()
    _ask("conformance-kit", *where, "--lender", "demo", "--out", str(directory / "kit.json"), "--wallets", "sandbox")
    serve = _command(
        "serve", *where, "--port", str(port), "--allowance-minor", str(LEASE_MINOR), "--wallets", "sandbox"
    )
    ending = threading.Event()
    keeper = threading.Thread(target=_keep, args=([*serve, "--refresh-s", REFRESH_S], directory, ending))
    keeper.start()
    try:
        _listening(port)
        yield f"https://127.0.0.1:{port}"
    finally:
        ending.set()
        keeper.join()


def _keep(command: list[str], directory: Path, ending: threading.Event) -> None:
    """Run the server until the end, anew whenever it ends."""
    with (directory / "server.log").open("ab") as log:
        while not ending.is_set():
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            (directory / "server.pid").write_text(str(process.pid))
            while process.poll() is None and not ending.wait(0.1):
                pass
            process.terminate()
            process.wait()


def _listening(port: int) -> None:
    deadline = time.monotonic() + START_WAIT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.1)
    raise TimeoutError("the backend does not listen")


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "backend.cli", *words]


def _ask(*words: str) -> None:
    subprocess.run(_command(*words), check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
