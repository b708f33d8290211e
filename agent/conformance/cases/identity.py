"""Enrollment, certificates, replacement and revocation of a lane's device."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from agent.conformance import enrollment
from agent.conformance.case import Group
from agent.conformance.enrollment import Applicant, read_certificate, request_for
from agent.conformance.exchange import Broken, Exchange
from agent.conformance.lane import Lane, b64url
from agent.conformance.line import Line
from agent.conformance.snapshot import checked_keys, from_b64url
from agent.conformance.world import World
from agent.core import cbor
from agent.core.journal import Head

GROUP = Group("identity")
_SUBJECT = {
    NameOID.COMMON_NAME: "lane",
    NameOID.ORGANIZATION_NAME: "merchant",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "store",
}
_TEXTS = ("lane", "store", "merchant", "merchant_name", "category", "currency", "certificate", "ca")


def _enroll(world: World, applicant: Applicant, code: str, **other: object) -> Exchange:
    return world.stranger.post("/v1/enroll", applicant.body(code, **other))


def _lent(world: World, applicant: Applicant, exchange: Exchange) -> Lane:
    return world.adopt(applicant, exchange.ok())


def _public(key: Any) -> bytes:
    encoding = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    data: bytes = key.public_bytes(*encoding)
    return data


def _check_certificate(world: World, exchange: Exchange, pem: object, key: ec.EllipticCurvePrivateKey,
                       answer: dict[str, object]) -> None:  # fmt: skip
    certificate = read_certificate(exchange, pem)
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(world.ca_pem.encode()))
    except (ValueError, TypeError, InvalidSignature):
        exchange.broken("a certificate issued by the backend's CA")
    exchange.demand(_public(certificate.public_key()) == _public(key.public_key()), "a certificate for the CSR's key")
    for oid, name in _SUBJECT.items():
        values = [part.value for part in certificate.subject.get_attributes_for_oid(oid)]
        exchange.demand(values == [answer[name]], f"the {name} {answer[name]} as {oid._name} of the subject")


@GROUP.case("E-01", "the CA is the one whose fingerprint ends the code")
def authority(world: World) -> None:
    enrollment.fetch_ca(world.url, world.kit.codes[0])


@GROUP.case("E-02", "a code becomes the identity of a lane")
def answer(world: World) -> None:
    exchange = _enroll(world, Applicant.new(), world.code())
    fields = exchange.ok()
    exchange.demand(all(isinstance(fields.get(name), str) for name in _TEXTS), f"texts {', '.join(_TEXTS)}")
    exchange.demand(type(fields.get("epoch")) is int and fields["epoch"] >= 1, "epoch, from 1 on")
    exchange.demand(fields.get("reason") == "enrolled", 'reason "enrolled"')
    exchange.demand("previous" in fields and fields["previous"] is None, "previous null")
    lenders = fields.get("lenders")
    exchange.demand(isinstance(lenders, list) and lenders, "lenders: at least one")
    told = {row["lender"] for row in fields["lenders"]}
    exchange.demand(set(world.kit.lenders) <= told, f"the lenders {', '.join(world.kit.lenders)}")


@GROUP.case("E-03", "the certificate says what the backend knows, not what the request says")
def certificate(world: World) -> None:
    applicant = Applicant.new()
    exchange = _enroll(world, applicant, world.code())
    fields = exchange.ok()
    _check_certificate(world, exchange, fields["certificate"], applicant.tls_key, fields)


@GROUP.case("E-04", "the same request gets the same answer again")
def repeated(world: World) -> None:
    applicant, code = Applicant.new(), world.code()
    first = _enroll(world, applicant, code)
    first.ok()
    again = _enroll(world, applicant, code)
    again.demand(again.status == 200 and again.content == first.content, "the same bytes as the first answer")


@GROUP.case("E-05", "a code is not used twice")
def used(world: World) -> None:
    code = world.code()
    _enroll(world, Applicant.new(), code).ok()
    _enroll(world, Applicant.new(), code).problem(409, "code_used")


@GROUP.case("E-06", "a code that nobody made is refused")
def unknown_code(world: World) -> None:
    made = world.kit.codes[0].replace("-", "")
    for code in ("A" * len(made), "", "hello", made[:-4], "7" * 52):
        _enroll(world, Applicant.new(), code).problem(403, "code_refused")


@GROUP.case("E-07", "a code past its time is refused", needs=("expired_code",))
def expired_code(world: World) -> None:
    _enroll(world, Applicant.new(), world.kit.expired_code or "").problem(403, "code_refused")


@GROUP.case("E-08", "a code may be typed in any case and grouping")
def typed(world: World) -> None:
    code = world.code().replace("-", "").lower()
    _enroll(world, Applicant.new(), " ".join(code[at : at + 5] for at in range(0, len(code), 5))).ok()


@GROUP.case("E-09", "a request that cannot be used does not use up the code")
def unusable_request(world: World) -> None:
    code, applicant = world.code(), Applicant.new()
    other_curves = (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate())
    for csr in ("", "no PEM", _request(other_curves[0], hashes.SHA256()), _request(other_curves[1], None)):
        _enroll(world, applicant, code, csr=csr).problem(400, "malformed")
    small = b64url(cbor.encode({1: 1, -1: 6, -2: bytes(32)}))
    for journal_key in ("", "!!", b64url(b"\xff"), b64url(cbor.encode({1: 2})), small):
        _enroll(world, applicant, code, journal_key=journal_key).problem(400, "malformed")
    _enroll(world, applicant, code).ok()


def _request(key: Any, algorithm: hashes.SHA256 | None) -> str:
    """A request of a key that no lane may have: the authority takes P-256 only."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM).decode()


@GROUP.case("E-10", "each lender's key list verifies with the root that is told beside it")
def introduced(world: World) -> None:
    applicant = Applicant.new()
    exchange = _enroll(world, applicant, world.code())
    lane = _lent(world, applicant, exchange)
    for row in exchange.ok()["lenders"]:
        told = Exchange(exchange.sent, 200, {}, from_b64url(row["keys"]))
        keys = checked_keys(lane, row["lender"], told)
        exchange.demand(len(keys.currency) == 3, "a currency in the key list")


# --- certificates ----------------------------------------------------------------------------------------------
@GROUP.case("C-01", "a certificate is renewed with a new key")
def renewed(world: World) -> None:
    lane, key = world.lane(), ec.generate_private_key(ec.SECP256R1())
    exchange = lane.line.post("/v1/certificates", {"csr": request_for(key)})
    fields = exchange.ok()
    _check_certificate(world, exchange, fields["certificate"], key, dict(lane.answer))
    line = world.line_of(fields["certificate"], enrollment.key_pem(key))
    line.get(f"/v1/keys?lender={world.lender}").is_(200)


@GROUP.case("C-02", "the same request for renewal gets the same answer")
def renewed_again(world: World) -> None:
    lane, csr = world.lane(), request_for(ec.generate_private_key(ec.SECP256R1()))
    first = lane.line.post("/v1/certificates", {"csr": csr})
    first.ok()
    again = lane.line.post("/v1/certificates", {"csr": csr})
    again.demand(again.content == first.content, "the same bytes as the first answer")


@GROUP.case("C-03", "a request for renewal that cannot be used is refused")
def unusable_renewal(world: World) -> None:
    lane = world.lane()
    for csr in ("", "no PEM", _request(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256())):
        lane.line.post("/v1/certificates", {"csr": csr}).problem(400, "malformed")


def _everything_else(world: World, lane: Lane, problem: str, line: Line | None = None) -> None:
    line = line or lane.line
    beat = {"lender": world.lender, "nonce": b64url(bytes(16))}
    line.post("/v1/heartbeat", beat).problem(403, problem)
    line.get(f"/v1/keys?lender={world.lender}").problem(403, problem)
    line.get(f"/v1/snapshot?lender={world.lender}").problem(403, problem)
    body = lane.request(world.bystander(), 100, lane.new_sale())
    line.post("/v1/authorizations", body, Idempotency_Key=lane.key_of(body)).problem(403, problem)


@GROUP.case("C-04", "an expired certificate drains its journal and does nothing else", needs=("expired_lane",))
def expired(world: World) -> None:
    told = world.kit.expired_lane
    assert told is not None
    line = world.line_of(told.certificate_pem, told.key_pem)
    lane = Lane(line, told.journal_key, {"lenders": []}, Head(told.lane, told.epoch))
    lane.write("print", {"job_id": 1, "rung": "confirmed", "copy": False})
    lane.upload().ok()
    _everything_else(world, lane, "certificate_expired")


@GROUP.case("C-05", "a replacement starts a new epoch, and the old device only drains", needs=("replace_lane",))
def replaced(world: World) -> None:
    lane, phone = world.fresh_lane(), world.phone()
    lane.flush()
    code = world.hook("replace_lane", lane=lane.name)
    applicant = Applicant.new()
    exchange = _enroll(world, applicant, code)
    fields = exchange.ok()
    exchange.demand(fields["epoch"] == lane.head.epoch + 1, f"epoch {lane.head.epoch + 1}")
    exchange.demand(fields.get("reason") == "replaced", 'reason "replaced"')
    head = {"epoch": lane.head.epoch, "number": lane.head.number, "hash": b64url(lane.head.hash)}
    exchange.demand(fields.get("previous") == head, f"previous {head}")
    new = world.adopt(applicant, fields)
    new.send()
    if not new.is_approved(phone, 100):
        raise Broken("an approval at the new device")
    lane.stand_in(phone, 100, lease=None, funding="cap")
    lane.send()
    _everything_else(world, lane, "lane_replaced")


@GROUP.case("C-06", "what a revoked device brings is quarantined, and it gets nothing", needs=("revoke_lane",))
def revoked(world: World) -> None:
    lane, phone = world.fresh_lane(), world.phone()
    lane.flush()
    world.hook("revoke_lane", lane=lane.name)
    lane.stand_in(phone, 100, lease=None, funding="cap")
    exchange = lane.upload()
    results = lane.results(exchange)
    exchange.demand([row["result"] for row in results] == ["quarantined"], "the result quarantined")
    exchange.demand(exchange.ok()["acknowledged_through"] == lane.head.number, "the entry acknowledged")
    _everything_else(world, lane, "lane_revoked")
