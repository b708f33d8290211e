"""A one-time code becomes an identity: nobody in between can answer, and a crash at any moment can be repeated."""

import json
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.core import cbor, cose, trust
from agent.errors import (
    CounterfoilError,
    NotEnrolled,
    TrainingMixed,
    UntrustedDocument,
    UplinkRefused,
    UplinkUnavailable,
)
from agent.uplink import identity
from agent.uplink.connection import tls_context
from agent.uplink.enrollment import WrongBackend, enroll
from agent.uplink.enrollment_code import BadCode, Code
from agent.uplink.identity import Enrolled, load_identity, load_journal_key
from backend.identity import Authority, LaneName, code_text
from tests.uplink.world import LENDER, Transport, b64, problem, run_real, unb64

NOW_S = int(time.time())
AUTHORITY, OTHER = Authority.create(NOW_S), Authority.create(NOW_S)
SECRET = bytes(range(16))
CODE = code_text(SECRET, AUTHORITY.fingerprint)
ROOT = cose.SigningKey.from_seed("ed25519", b"r" * 32)
KEY_LIST = trust.KeyList(LENDER, 3, NOW_S, NOW_S + 10**6, (), "CNY")
LANE = LaneName("lane-1", "m1", "s1")


class Registry:
    """A backend that enrolls: same code and request, same answer. `lie` changes what it says."""

    def __init__(self, authority: Authority = AUTHORITY) -> None:
        self.authority = authority
        self.answers: dict[str, dict[str, Any]] = {}
        self.bodies: list[dict[str, Any]] = []
        self.lie: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
        self.lose: list[Exception | httpx.Response] = []
        self.contexts: list[ssl.SSLContext] = []

    def http(self, context: ssl.SSLContext) -> httpx.AsyncClient:
        self.contexts.append(context)
        return httpx.AsyncClient(base_url="https://backend.test", transport=Transport(self._respond))

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/ca":
            return httpx.Response(200, json={"ca": self.authority.certificate_pem.decode()})
        body = json.loads(request.content)
        self.bodies.append(body)
        answer = self.answers.setdefault(json.dumps(body), self._answer(body))
        if self.lose:
            lost = self.lose.pop(0)
            if isinstance(lost, httpx.Response):
                return lost
            raise lost
        return httpx.Response(200, json=self.lie(dict(answer)))

    def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        return {
            "lane": "lane-1",
            "store": "s1",
            "merchant": "m1",
            "merchant_name": "街角小店",
            "category": "5411",
            "currency": "CNY",
            "epoch": 1,
            "certificate": self.authority.issue_lane(body["csr"].encode(), LANE, NOW_S).decode(),
            "ca": self.authority.certificate_pem.decode(),
            "lenders": [introduced()],
        }


def introduced(keys: trust.KeyList = KEY_LIST, signer: cose.SigningKey = ROOT) -> dict[str, str]:
    root = cbor.encode(ROOT.public.to_cose_key())
    return {"lender": LENDER, "name": "小店信用", "root": b64(root), "keys": b64(trust.sign_key_list(keys, signer))}


def attempt(registry: Registry, directory: Path, code: str = CODE) -> Enrolled:
    return run_real(enroll("https://backend.test", code, directory, make_http=registry.http))


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_a_lane_that_enrolled_knows_who_it_is_and_can_prove_it(tmp_path: Path) -> None:
    registry, directory = Registry(), tmp_path / "identity"
    enrolled = attempt(registry, directory)
    assert load_identity(directory) == enrolled
    assert (enrolled.lane, enrolled.store, enrolled.merchant_name, enrolled.epoch) == ("lane-1", "s1", "街角小店", 1)
    assert trust.verify_key_list(enrolled.lenders[0].keys, ROOT.public, version_min=0) == KEY_LIST
    tls_context(directory)  # certificate and key belong together
    told = cose.PublicKey.from_cose_key(cbor.decode(unb64(registry.bodies[0]["journal_key"])))
    assert load_journal_key(directory).public == told


def test_private_keys_can_be_read_by_their_owner_only_and_never_leave(tmp_path: Path) -> None:
    registry, directory = Registry(), tmp_path / "identity"
    attempt(registry, directory)
    modes = {str(path.relative_to(directory)): path.stat().st_mode & 0o777 for path in directory.rglob("*")}
    assert modes["tls/lane.pem"] == modes["tls/next.key"] == modes["journal.key"] == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
    assert set(registry.bodies[0]) == {"code", "csr", "journal_key"}
    assert "PRIVATE" not in json.dumps(registry.bodies)


def test_only_the_first_question_goes_to_a_server_that_nobody_vouches_for(tmp_path: Path) -> None:
    registry = Registry()
    attempt(registry, tmp_path)
    first, second = registry.contexts
    assert first.verify_mode is ssl.CERT_NONE
    assert (second.verify_mode, second.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert {context.minimum_version for context in registry.contexts} == {ssl.TLSVersion.TLSv1_3}
    assert second.get_ca_certs(binary_form=True) == [AUTHORITY.certificate.public_bytes(serialization.Encoding.DER)]


def test_somebody_in_between_with_a_ca_of_his_own_never_sees_the_code(tmp_path: Path) -> None:
    registry = Registry(OTHER)
    with pytest.raises(WrongBackend):
        attempt(registry, tmp_path)
    assert not registry.bodies


@pytest.mark.parametrize("lost", [httpx.ReadTimeout("late"), httpx.ReadError("reset"), httpx.Response(502)])
def test_the_same_code_after_a_lost_answer_sends_the_same_request(lost: Any, tmp_path: Path) -> None:
    registry = Registry()
    registry.lose = [lost]
    with pytest.raises(UplinkUnavailable):
        attempt(registry, tmp_path)
    with pytest.raises(NotEnrolled):
        load_identity(tmp_path)
    attempt(registry, tmp_path)
    assert registry.bodies[0] == registry.bodies[1]
    assert len(registry.answers) == 1


def test_a_power_cut_at_any_file_leaves_a_lane_that_can_enroll_with_the_same_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_file = Path.replace
    cuts = 0
    for step in range(20):
        registry, directory = Registry(), tmp_path / str(step)
        left = step

        def cut(path: Path, target: Path) -> Path:
            nonlocal left
            if left == 0:
                raise OSError("power cut")
            left -= 1
            return replace_file(path, target)

        monkeypatch.setattr(Path, "replace", cut)
        try:
            attempt(registry, directory)
        except NotEnrolled:
            cuts += 1
            assert not (directory / identity.IDENTITY_FILE).exists()
        monkeypatch.setattr(Path, "replace", replace_file)
        assert attempt(registry, directory).lane == "lane-1"
        assert len(registry.answers) == 1
    assert cuts == 6  # two keys, the request, certificate, CA, identity


def test_enrolling_again_with_the_same_code_changes_nothing(tmp_path: Path) -> None:
    registry = Registry()
    attempt(registry, tmp_path)
    before = files(tmp_path)
    attempt(registry, tmp_path)
    assert files(tmp_path) == before


def test_another_code_does_not_turn_an_enrolled_lane_into_another(tmp_path: Path) -> None:
    registry = Registry()
    attempt(registry, tmp_path)
    with pytest.raises(UplinkRefused):
        attempt(registry, tmp_path, code_text(bytes(16), AUTHORITY.fingerprint))
    assert len(registry.bodies) == 1


@pytest.mark.parametrize("kind", ["code_refused", "code_used"])
def test_a_code_that_the_backend_refuses_is_refused(kind: str, tmp_path: Path) -> None:
    registry = Registry()
    registry.lose = [problem(403, kind)]
    with pytest.raises(UplinkRefused):
        attempt(registry, tmp_path)


def _other_key(answer: dict[str, Any]) -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    pem = csr.public_bytes(serialization.Encoding.PEM)
    return {**answer, "certificate": AUTHORITY.issue_lane(pem, LANE, NOW_S).decode()}


STRANGER = cose.SigningKey.from_seed("ed25519", b"s" * 32)
LIES: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], type[CounterfoilError]]] = {
    "certificate_of_another_key": (_other_key, UntrustedDocument),
    "certificate_is_the_ca": (
        lambda answer: {**answer, "certificate": AUTHORITY.certificate_pem.decode()},
        UntrustedDocument,
    ),
    "certificate_is_garbage": (lambda answer: {**answer, "certificate": "-----BEGIN"}, UntrustedDocument),
    "another_ca": (lambda answer: {**answer, "ca": OTHER.certificate_pem.decode()}, UntrustedDocument),
    "another_lane_than_certified": (lambda answer: {**answer, "lane": "lane-2"}, UntrustedDocument),
    "another_store_than_certified": (lambda answer: {**answer, "store": "s2"}, UntrustedDocument),
    "keys_not_signed_by_the_root": (
        lambda answer: {**answer, "lenders": [introduced(signer=STRANGER)]},
        UntrustedDocument,
    ),
    "keys_of_another_lender": (
        lambda answer: {**answer, "lenders": [introduced(replace(KEY_LIST, lender="otherlend"))]},
        UntrustedDocument,
    ),
    "root_is_no_key": (
        lambda answer: {**answer, "lenders": [{**introduced(), "root": b64(b"\x00")}]},
        UntrustedDocument,
    ),
    "no_epoch": (lambda answer: {**answer, "epoch": None}, UplinkUnavailable),
    "no_lenders": (lambda answer: {**answer, "lenders": "none"}, UplinkUnavailable),
}


@pytest.mark.parametrize(("lie", "fault"), LIES.values(), ids=LIES.keys())
def test_an_answer_that_does_not_hold_together_leaves_the_lane_not_enrolled(
    lie: Callable[[dict[str, Any]], dict[str, Any]], fault: type[CounterfoilError], tmp_path: Path
) -> None:
    registry = Registry()
    registry.lie = lie
    with pytest.raises(fault):
        attempt(registry, tmp_path)
    with pytest.raises(NotEnrolled):
        load_identity(tmp_path)


@pytest.mark.parametrize("is_training", [True, False])
def test_a_lane_for_training_and_a_backend_for_real_sales_do_not_meet_nor_the_other_way_round(
    is_training: bool, tmp_path: Path
) -> None:
    registry, aid = Registry(), trust.AID_TRAINING if is_training else trust.AID_DEFAULT
    registry.lie = lambda answer: answer | {"lenders": [introduced(replace(KEY_LIST, aid=aid))]}

    def attempted(wanted: bool) -> Enrolled:
        return run_real(enroll("https://backend.test", CODE, tmp_path, make_http=registry.http, is_training=wanted))

    with pytest.raises(TrainingMixed):
        attempted(not is_training)
    assert not (tmp_path / "identity.json").exists()
    assert attempted(is_training).is_training is is_training


def test_a_code_is_read_as_people_type_it() -> None:
    assert str(Code.parse(CODE.lower().replace("-", " "))) == CODE
    assert Code.parse(CODE).ca_fingerprint == AUTHORITY.fingerprint[:16]
    assert Code.parse(CODE).secret == SECRET


@pytest.mark.parametrize(
    "text",
    ["", "AAAA", CODE[:-1], CODE + "A", CODE.replace(CODE[0], "1"), "店" * 52, "=" * 52],
    ids=["empty", "short", "one too few", "one too many", "a digit", "no letters", "padding"],
)
def test_what_is_no_code_is_refused_before_anything_is_written(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadCode):
        attempt(Registry(), tmp_path / "identity", text)
    assert not (tmp_path / "identity").exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"lenders": []}', '{"lenders": [1]}', "\x00"])
def test_a_damaged_identity_means_not_enrolled(text: str, tmp_path: Path) -> None:
    (tmp_path / identity.IDENTITY_FILE).write_text(text)
    with pytest.raises(NotEnrolled):
        load_identity(tmp_path)
