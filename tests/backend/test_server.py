"""The real thing: the command line makes a backend, its process answers over mutual TLS, and the books are audited."""

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
from backend import cli
from backend.identity import Authority, LaneName, private_pem
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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", "--dir", str(place[0]), "--port", str(port), "--refresh-s", "0.2"]
    server = subprocess.Popen([sys.executable, "-m", "backend.cli", *words])
    try:
        _wait_for(port)
        yield f"https://localhost:{port}"
    finally:
        server.terminate()
        assert server.wait(10) == 0


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not listen")


def client(url: str, ca: Path, identity: tuple[Path, Path] | None = None) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(ca))
    if identity:
        context.load_cert_chain(*map(str, identity))
    return httpx.Client(base_url=url, verify=context)


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
        for _ in range(50):
            snapshot = lane.get("/v1/snapshot", params={"lender": "demo"})
            if snapshot.status_code == 200:
                break
            time.sleep(0.1)
        assert snapshot.json()["layers"][0]["base"] is True


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
        (["account", "show", "--lender", "nobody"], "lender_unknown"),
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
