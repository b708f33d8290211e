"""A lane as a computer in a shop has it: configuration, identity, ledger, snapshot, devices, and a backend to talk to.

Everything is real but the lender and the backend, which are a few lines here, so that each can be broken on purpose.
"""

import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent import app
from agent.cli.main import main
from agent.config import load
from agent.core import cbor, trust
from agent.core.default_policy import default_policy
from agent.core.policy import parse_policy, sign_policy
from agent.demo.props import wait_for
from agent.errors import AgentNotRunning
from agent.lane import Lane
from agent.local.client import LocalClient
from agent.store.ledger import SqliteLedger
from agent.store.snapshot_files import SnapshotFiles
from agent.uplink.answers import decode_base64url, encode_base64url
from agent.uplink.identity import Enrolled, EnrolledLender, load_identity, load_journal_key, save_identity
from agent.uplink.lane_keys import prepare_keys
from backend.identity import Authority, LaneName
from drivers.virtual.printer import VirtualPrinter
from drivers.virtual.scanner import VirtualScanner
from tests.services.lanes import CUSTOMER, LENDER, PaperBackend, PaperClock, PaperLender, key

NOW_S = int(time.time())
AUTHORITY, OTHER_AUTHORITY = Authority.create(NOW_S), Authority.create(NOW_S)
DAY_S = 86_400


class Lender(PaperLender):
    """Its documents are valid on the computer's real date, as the certificates are."""

    def key_list(self, version: int = 1, *, until_s: int = NOW_S + 400 * DAY_S) -> bytes:
        entries = tuple(
            trust.KeyEntry(self.key(role).public.kid, self.key(role).public, role, NOW_S - 2000 * DAY_S, until_s)
            for role in trust.Role
        )
        keys = trust.KeyList(self.name, version, NOW_S - 10 + version, until_s, entries, "CNY")
        return trust.sign_key_list(keys, key(f"{self.name}-root"))

    def policy(self, version: int = 1, *, expires_at: int = NOW_S + 90 * DAY_S, **limits: int) -> bytes:
        payload = default_policy(self.name, version=version, issued_at=NOW_S - 100, expires_at=expires_at)
        payload["limits"] |= limits
        return sign_policy(parse_policy(payload), self.key(trust.Role.POLICY))


class Backend:
    """A TLS server with the few answers that a doctor asks for. ``answer`` may be replaced."""

    def __init__(
        self,
        directory: Path,
        lender: PaperLender,
        names: tuple[str, ...] = ("localhost",),
        lanes_of: Authority = AUTHORITY,
    ) -> None:
        backend = self
        self.lender, self.offset_s = lender, 0
        self.answer: Callable[[str, bytes], tuple[int, str, bytes]] = self.true_answer

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                status, kind, body = backend.answer(self.path, self.rfile.read(size))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                return None

        server_key, certificate = AUTHORITY.issue_server(names, NOW_S)
        (directory / "server.pem").write_bytes(server_key + certificate)
        (directory / "server-ca.crt").write_bytes(lanes_of.certificate_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "server.pem")
        context.load_verify_locations(directory / "server-ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self.server = _Quiet(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def true_answer(self, path: str, body: bytes) -> tuple[int, str, bytes]:
        if path.startswith("/v1/keys"):
            return 200, "application/cose", self.lender.key_list()
        if path == "/v1/heartbeat":
            nonce = decode_base64url(json.loads(body)["nonce"])
            signed = self.lender.signed_time(nonce, int(time.time()) + self.offset_s)
            return 200, "application/json", json.dumps({"time": encode_base64url(signed)}).encode()
        return 200, "application/json", b"{}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        return None


@dataclass
class LaneOnDisk:
    root: Path
    run_dir: Path
    lender: Lender
    backend: Backend
    scanner: VirtualScanner
    printer: VirtualPrinter
    config: Path = field(init=False)

    def __post_init__(self) -> None:
        self.config = self.root / "agent.toml"
        self.configure()

    def configure(self, **changed: str) -> None:
        """Write the configuration; ``changed`` replaces single lines by their key."""
        lines = {
            "url": f'"https://localhost:{self.backend.port}"',
            "free_space_min_mb": "50",
            "printer": f'"{self.printer.address}"',
            "language": '"en"',
            "more": "",
        } | changed
        self.config.write_text(
            f"""[lane]
state_dir = "{self.state}"
run_dir = "{self.run_dir}"
language = {lines["language"]}
[backend]
url = {lines["url"]}
[scanner.counter]
address = "serial:{self.scanner.path}"
[printer]
address = {lines["printer"]}
[limits]
free_space_min_mb = {lines["free_space_min_mb"]}
{lines["more"]}
"""
        )

    @property
    def state(self) -> Path:
        return self.root / "lane"

    @property
    def identity(self) -> Path:
        return self.state / "identity"

    def enroll(self, authority: Authority = AUTHORITY, *, at: int = NOW_S) -> None:
        self.identity.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = prepare_keys(self.identity, os.urandom)
        root = cbor.encode(key(f"{LENDER}-root").public.to_cose_key())
        lender = EnrolledLender(LENDER, "Shop Lend", root, self.lender.key_list())
        enrolled = Enrolled("lane-01", "s1", "m1", "Corner Shop", "5411", "CNY", 1, (lender,), "0" * 64)
        certificate = authority.issue_lane(keys.csr, LaneName("lane-01", "m1", "s1"), at)
        save_identity(self.identity, enrolled, certificate=certificate, ca=AUTHORITY.certificate_pem)

    def fill(self) -> None:
        """Let the lane run once: signed time, policy, snapshot."""
        with self.lane() as lane:
            nonce = lane.forwarding.ask_time(LENDER)
            lane.forwarding.signed_time(LENDER, nonce, self.lender.signed_time(nonce, int(time.time())))
            lane.lenders.install_policy(LENDER, self.lender.policy())
            sequence, path = self.lender.layer(self.root, {CUSTOMER: 10_000}, built_at=int(time.time()))
            lane.lenders.install_snapshot(LENDER, [(sequence, path)])

    @contextmanager
    def lane(self) -> Iterator[Lane]:
        """The lane's services on its own files, in this process."""
        config, enrolled = load(self.config), load_identity(self.identity)
        ledger = SqliteLedger.open(str(self.state / "ledger.db"), wal_pages=0)
        try:
            yield Lane(
                app.lane_settings(config, enrolled),
                app.enrolled_lenders(enrolled),
                load_journal_key(self.identity),
                ledger=ledger,
                snapshots=SnapshotFiles(self.state / "snapshots"),
                backend=PaperBackend(),
                printer=None,
                clock=PaperClock(int(time.time())),  # these tests may begin long after this file was read
                random_bytes=os.urandom,
                free_bytes=lambda: 10**12,
            )
        finally:
            ledger.close()

    @contextmanager
    def running(self) -> Iterator[LocalClient]:
        """The agent as a process of its own, until the end of the block; it must leave no stack trace in its log."""
        command = [sys.executable, "-m", "agent.cli.main", "run", "--config", str(self.config)]
        with (self.root / "agent.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            client = LocalClient(self.run_dir / "agent.sock", timeout_s=60)
            wait_for("the agent answers", lambda: _answers(client) or process.poll() is not None, 120)
            yield client
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        assert "Traceback" not in self.log

    @property
    def log(self) -> str:
        return (self.root / "agent.log").read_text()

    def close(self) -> None:
        self.backend.stop()
        self.scanner.close()
        self.printer.close()
        shutil.rmtree(self.run_dir, ignore_errors=True)


def _answers(client: LocalClient) -> bool:
    try:
        return bool(client.get("/v1/status"))
    except AgentNotRunning:
        return False


def opened(root: Path) -> LaneOnDisk:
    """A lane that is enrolled and has run once, and a backend that is up."""
    run_dir = Path(tempfile.mkdtemp(prefix="cf-"))  # the path of a socket has at most 107 bytes
    lender = Lender()
    lane = LaneOnDisk(
        root,
        run_dir,
        lender,
        Backend(root, lender),
        VirtualScanner(run_dir / "scanner"),
        VirtualPrinter(root / "slips"),
    )
    lane.enroll()
    lane.fill()
    return lane


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Said]


def commanding(lane: LaneOnDisk, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line on this lane; whatever it is given, it never shows a stack trace."""

    def run(*words: str) -> Said:
        capsys.readouterr()
        code = main([*words, "--config", str(lane.config)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(code, out, err)

    return run
