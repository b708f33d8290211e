"""The real thing: the command line makes a backend, its process answers over mutual TLS, and the books are audited."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.core import cbor
from agent.core.cose import SigningKey
from agent.demo.props import free_port
from backend import cli
from backend.identity import Authority, LaneName, private_pem
from backend.line import CONNECTIONS_PER_PEER_MAX
from backend.wire import b64url

LIMIT_MINOR = 50_000


def run(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert cli.main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, str, str]:
    """A directory with a backend, an account and an enrollment code."""
    at = ("--dir", str(tmp_path / "backend"))
    run(capsys, "init", *at)
    account = run(capsys, "account", "add", *at, "--limit-minor", str(LIMIT_MINOR))["account"]
    return tmp_path / "backend", account, run(capsys, "enroll-code", *at, "--lane", "lane-1")["code"]


@pytest.fixture
def url(place: tuple[Path, str, str]) -> Iterator[str]:
    yield from serving(place[0], "-m", "backend.cli")


def serving(directory: Path, *program: str) -> Iterator[str]:
    port = free_port()
    words = ["serve", "--dir", str(directory), "--port", str(port), "--refresh-s", "0.2"]
    server = subprocess.Popen([sys.executable, *program, *words])
    try:
        _wait_for(port)
        yield f"https://localhost:{port}"
    finally:
        server.terminate()
        assert server.wait(60) == 0


@pytest.fixture
def hasty_url(place: tuple[Path, str, str]) -> Iterator[str]:
    """A server that loses patience thirty times as fast."""
    hurry = "import sys, backend.bodies as b; b.REQUEST_S = 1.0; import backend.line as l; l.GRACE_S = 0.5; "
    hurry += "import backend.server as s; s.HANDSHAKE_S = 3.0; import backend.cli as c; sys.exit(c.main(sys.argv[1:]))"
    yield from serving(place[0], "-c", hurry)


def _wait_for(port: int) -> None:
    for _ in range(1_200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not listen")


def client(url: str, ca: Path, identity: tuple[Path, Path] | None = None) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(ca))
    if identity:
        context.load_cert_chain(*map(str, identity))
    return httpx.Client(base_url=url, verify=context, timeout=60)


def enrolled(url: str, directory: Path, code: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    journal_key = b64url(cbor.encode(SigningKey.from_seed("p256", os.urandom(32)).public.to_cose_key()))
    pem = csr.public_bytes(serialization.Encoding.PEM).decode()
    with client(url, directory / "ca.crt") as nobody:
        answer = nobody.post("/v1/enroll", json={"code": code, "csr": pem, "journal_key": journal_key}).json()
    (directory / "lane.crt").write_text(answer["certificate"])
    (directory / "lane.key").write_bytes(private_pem(key))
    return directory / "lane.crt", directory / "lane.key"


def sale(directory: Path, account: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """A sale with the code that the test phone shows, while the server holds the database."""
    code = run(capsys, "pass", "issue", account, "--dir", str(directory), "--verified")["code"]
    body = {"lender": "demo", "sale_id": "sale-0001", "attempt": 1, "epoch": 1, "intent_number": 1, "pass": code}
    body |= {"amount": {"minor": 12_800, "currency": "CNY"}, "scanned_at": "2026-01-01T00:00:00Z", "lease": None}
    return body | {"category": "5411", "capture": "at_once"}


def test_a_lane_enrolls_and_sells_over_mutual_tls(
    place: tuple[Path, str, str], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    directory, account, code = place
    identity = enrolled(url, directory, code)
    headers = {"Idempotency-Key": "demo/lane-1/sale-0001/1"}
    with client(url, directory / "ca.crt", identity) as lane:
        answer = lane.post("/v1/authorizations", json=sale(directory, account, capsys), headers=headers).json()
        assert (answer["approved"], answer["amount"]["minor"]) == (True, 12_800)
        for _ in range(600):
            snapshot = lane.get("/v1/snapshot", params={"lender": "demo"})
            if snapshot.status_code == 200:
                break
            time.sleep(0.1)
        assert snapshot.json()["layers"][0]["base"] is True


# --- hygiene: what a peer may not do, over real TLS -----------------------------------------------------------------
class Raw:
    """A TLS connection on which a test says exactly what it wants."""

    def __init__(self, url: str, ca: Path, identity: tuple[Path, Path] | None = None) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        if identity:
            context.load_cert_chain(*map(str, identity))
        tcp = socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=60)
        self.socket = context.wrap_socket(tcp, server_hostname="localhost")

    def say(self, text: str | bytes) -> None:
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def hear(self) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer; (0, {}) if the connection ended without one."""
        answer = b""
        try:
            while chunk := self.socket.recv(65536):
                answer += chunk
        except (ConnectionError, ssl.SSLError):
            pass
        head, _, content = answer.partition(b"\r\n\r\n")
        return (int(head.split()[1]), json.loads(content)) if head else (0, {})

    def refusal(self) -> tuple[int, str]:
        status, document = self.hear()
        return status, str(document.get("type", "")).removeprefix("urn:counterfoil:problem:")


def test_what_is_no_http_is_answered_with_a_problem_document(place: tuple[Path, str, str], url: str) -> None:
    raw = Raw(url, place[0] / "ca.crt")
    raw.say("MAKE ME A SANDWICH\r\n\r\n")
    assert raw.refusal() == (400, "malformed")


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "without end"])
def test_a_header_without_bounds_is_refused(place: tuple[Path, str, str], url: str, whole: bool) -> None:
    raw = Raw(url, place[0] / "ca.crt")
    raw.say("GET /v1/ca HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n")
    raw.say("x-junk: " + "j" * 40_000 + ("\r\n\r\n" if whole else ""))
    assert raw.refusal() == (431, "headers_too_large")


def test_a_body_without_bounds_is_refused(place: tuple[Path, str, str], url: str) -> None:
    raw = Raw(url, place[0] / "ca.crt")
    size = 9 * 1024 * 1024
    raw.say(f"POST /v1/enroll HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n")
    with contextlib.suppress(OSError):
        raw.say(bytes(size))
    assert raw.refusal() in ((413, "too_large"), (0, ""))
    with client(url, place[0] / "ca.crt") as other:
        assert other.get("/v1/ca").status_code == 200


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ("POST /v1/enroll HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{", (408, "too_slow")),
        ("GET /v1/ca HTTP/1.1\r\nhost: loc", (408, "too_slow")),
        ("", (0, "")),
    ],
    ids=["body", "header", "silence"],
)
def test_who_is_too_slow_is_told_so_and_put_out(
    place: tuple[Path, str, str], hasty_url: str, said: str, refusal: tuple[int, str]
) -> None:
    raw = Raw(hasty_url, place[0] / "ca.crt")
    raw.say(said)
    raw.socket.settimeout(60)
    assert raw.refusal() == refusal


def test_a_request_that_breaks_off_takes_nothing_with_it(place: tuple[Path, str, str], url: str) -> None:
    for _ in range(40):
        raw = Raw(url, place[0] / "ca.crt")
        raw.say("POST /v1/enroll HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        raw.socket.close()
    with client(url, place[0] / "ca.crt") as other:
        assert other.get("/v1/ca").status_code == 200


def test_a_handshake_that_never_comes_holds_no_connection_for_long(hasty_url: str) -> None:
    with socket.create_connection(("127.0.0.1", int(hasty_url.rsplit(":", 1)[1])), timeout=60) as silent:
        assert silent.recv(1) == b""


def test_one_peer_cannot_take_all_connections(place: tuple[Path, str, str], url: str) -> None:
    directory, _, code = place
    lane = enrolled(url, directory, code)
    crowd = [Raw(url, directory / "ca.crt") for _ in range(CONNECTIONS_PER_PEER_MAX)]
    try:
        one_more = Raw(url, directory / "ca.crt")
        one_more.say("GET /v1/ca HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert one_more.refusal() == (429, "too_many_requests")
        with client(url, directory / "ca.crt", lane) as served:
            assert served.get("/v1/keys", params={"lender": "demo"}).status_code == 200
    finally:
        for raw in crowd:
            raw.socket.close()


def test_an_expired_certificate_reaches_the_application_which_lets_it_only_drain(
    place: tuple[Path, str, str], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = place[0]
    run(capsys, "conformance-kit", "--dir", str(directory), "--out", str(directory / "kit.json"))
    kit = json.loads((directory / "kit.json").read_text())["expired_lane"]
    for name, member in (("old.crt", "certificate"), ("lane.key", "key")):
        (directory / name).write_text(kit[member])
    private = serialization.load_pem_private_key(kit["key"].encode(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(private, hashes.SHA256())
    pem = csr.public_bytes(serialization.Encoding.PEM).decode()
    with client(url, directory / "ca.crt", (directory / "old.crt", directory / "lane.key")) as lane:
        refused = lane.get("/v1/keys", params={"lender": "demo"})
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:counterfoil:problem:certificate_expired")
        assert lane.post("/v1/journal", json={}).status_code == 400, "let in, and judged by its content"
        renewed = lane.post("/v1/certificates", json={"csr": pem}).json()
    (directory / "new.crt").write_text(renewed["certificate"])
    with client(url, directory / "ca.crt", (directory / "new.crt", directory / "lane.key")) as lane:
        assert lane.get("/v1/keys", params={"lender": "demo"}).status_code == 200


def test_a_certificate_that_the_books_do_not_know_lets_its_lane_only_send_what_it_has(
    place: tuple[Path, str, str], url: str
) -> None:
    """It was issued after the backup that these books come from."""
    directory, _, code = place
    _, key = enrolled(url, directory, code)
    authority = Authority.from_pem((directory / "ca.key").read_bytes(), (directory / "ca.crt").read_bytes())
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(private, hashes.SHA256())
    name, pem = LaneName("lane-1", "merchant-1", "store-1"), csr.public_bytes(serialization.Encoding.PEM)
    (directory / "later.crt").write_bytes(authority.issue_lane(pem, name, int(time.time())))
    with client(url, directory / "ca.crt", (directory / "later.crt", key)) as lane:
        refused = lane.get("/v1/keys", params={"lender": "demo"})
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:counterfoil:problem:lane_unknown")
        assert lane.post("/v1/certificates", json={"csr": pem.decode()}).status_code == 403
        assert lane.post("/v1/journal", json={}).status_code == 400, "let in, and judged by its content"


def test_who_shows_no_certificate_or_a_foreign_one_gets_nowhere(place: tuple[Path, str, str], url: str) -> None:
    directory = place[0]
    with client(url, directory / "ca.crt") as nobody:
        assert nobody.get("/v1/ca").json()["ca"].encode() == (directory / "ca.crt").read_bytes()
        assert nobody.get("/v1/keys", params={"lender": "demo"}).status_code == 401
    foreign = Authority.create(int(time.time()))
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    pem = csr.public_bytes(serialization.Encoding.PEM)
    (directory / "forged.crt").write_bytes(foreign.issue_lane(pem, LaneName("lane-1", "m", "s"), int(time.time())))
    (directory / "forged.key").write_bytes(private_pem(key))
    forged = (directory / "forged.crt", directory / "forged.key")
    with client(url, directory / "ca.crt", forged) as stranger, pytest.raises(httpx.TransportError):
        stranger.get("/v1/keys", params={"lender": "demo"})


def test_tls_1_2_is_not_spoken(place: tuple[Path, str, str], url: str) -> None:
    context = ssl.create_default_context(cafile=str(place[0] / "ca.crt"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with httpx.Client(base_url=url, verify=context) as old, pytest.raises(httpx.ConnectError):
        old.get("/v1/ca")


def test_the_other_verbs_work_while_the_server_runs(
    place: tuple[Path, str, str], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "audit", "--dir", str(place[0]))["findings"] == []


def test_the_operator_sees_and_changes_an_account(
    place: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    at, account = ("--dir", str(place[0])), place[1]
    assert run(capsys, "account", "show", *at)["accounts"][0]["available_minor"] == LIMIT_MINOR
    assert run(capsys, "account", "limit", account, *at, "--limit-minor", "7")["limit_minor"] == 7
    assert run(capsys, "account", "block", account, *at)["blocked"] is True
    assert run(capsys, "account", "block", account, *at, "--lift")["blocked"] is False
    assert run(capsys, "snapshot", "build", *at) == {"layers": 0}
    assert run(capsys, "audit", *at) == {"findings": [], "disputes": []}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["init"], "holds a backend already"),
        (["account", "add", "--limit-minor", "-1"], "a limit is at least 0"),
        (["account", "show", "00" * 16], "has no account"),
        (["account", "show", "--lender", "nobody"], "This backend does not serve the lender: nobody"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    place: tuple[Path, str, str], capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert cli.main([*words, "--dir", str(place[0])]) == 1
    assert sentence in capsys.readouterr().err


def test_a_directory_without_a_backend_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["audit", "--dir", str(tmp_path)]) == 1
    assert "counterfoil-backend init" in capsys.readouterr().err
