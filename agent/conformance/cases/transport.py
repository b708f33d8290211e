"""TLS, who is who, problem documents, and whatever a peer may send."""

from __future__ import annotations

import http.client
import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from agent.conformance.case import Group
from agent.conformance.enrollment import Applicant
from agent.conformance.exchange import Broken
from agent.conformance.lane import b64url
from agent.conformance.line import pinned
from agent.conformance.world import World

GROUP = Group("transport")
AUTHENTICATED: Final = (
    ("GET", "/v1/keys?lender={lender}"), ("GET", "/v1/policy?lender={lender}"), ("GET", "/v1/snapshot?lender={lender}"),
    ("GET", "/v1/snapshot/{lender}/1"), ("PUT", "/v1/snapshot/{lender}/1"), ("POST", "/v1/heartbeat"),
    ("POST", "/v1/authorizations"), ("GET", "/v1/authorizations/{lender}/sale-0001/1"), ("POST", "/v1/journal"),
    ("GET", "/v1/exceptions"), ("POST", "/v1/epochs"), ("POST", "/v1/certificates"), ("GET", "/v1/events"),
    ("POST", "/v1/claims"), ("POST", "/v1/settlements"), ("GET", "/v1/sales/lane-01/sale-0001/refundable"),
)  # fmt: skip
WRITES: Final = (
    "/v1/heartbeat", "/v1/authorizations", "/v1/journal", "/v1/settlements", "/v1/epochs", "/v1/certificates",
    "/v1/claims",
)  # fmt: skip


FLOOD: Final = 700


def _heartbeat(world: World) -> dict[str, object]:
    return {"lender": world.lender, "nonce": b64url(bytes(16))}


@GROUP.case("T-01", "TLS 1.2 is refused")
def old_tls(world: World) -> None:
    context = pinned(world.ca_pem)
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    address = urlsplit(world.url)
    try:
        with (
            socket.create_connection((address.hostname or "", address.port or 443), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname=address.hostname) as wrapped,
        ):
            raise Broken("the handshake to fail", sent="a TLS 1.2 handshake", came=f"{wrapped.version()}")
    except OSError:
        return


@GROUP.case("T-02", "every call but two wants a certificate")
def no_certificate(world: World) -> None:
    for method, path in AUTHENTICATED:
        content = b"{}" if method != "GET" else None
        world.stranger.ask(method, path.format(lender=world.lender), content=content).problem(
            401, "certificate_required"
        )


@GROUP.case("T-03", "a certificate of another authority is no certificate")
def foreign_certificate(world: World) -> None:
    applicant, now = Applicant.new(), datetime.now(UTC)
    name = x509.Name([
        x509.NameAttribute(NameOID.COMMON_NAME, world.lane().name),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "merchant-1"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "store-1"),
    ])  # fmt: skip
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(applicant.tls_key.public_key())
    builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(applicant.tls_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    line = world.line_of(certificate, applicant.key_pem)
    try:
        exchange = line.get(f"/v1/keys?lender={world.lender}")
    except Broken:
        return
    exchange.problem(401, "certificate_required")


@GROUP.case("T-04", "an upload in another lane's name is refused")
def other_lane_in_body(world: World) -> None:
    lane = world.lane()
    lane.write("print", {"job_id": 1, "rung": "confirmed", "copy": False})
    lane.upload(lane="somebody-else").problem(403, "lane_mismatch")
    lane.flush()


@GROUP.case("T-05", "a body that is no JSON is refused as a problem document")
def no_json(world: World) -> None:
    line = world.lane().line
    for path in WRITES:
        for body in (b"", b"{", b"\xff\xfe", b"<xml/>", b"[" * 3000):
            line.post(path, body, Idempotency_Key="a/b/c/1").problem(400, "malformed")


@GROUP.case("T-05", "a body of another shape is refused as a problem document")
def other_shape(world: World) -> None:
    line = world.lane().line
    for path in WRITES:
        for body in (b"{}", b"[]", b"null", b'"text"', b"7"):
            line.post(path, body, Idempotency_Key="a/b/c/1").problem(400, "malformed")


@GROUP.case("T-06", "members that nobody knows are ignored")
def unknown_members(world: World) -> None:
    lane = world.lane()
    lane.line.post("/v1/heartbeat", _heartbeat(world) | {"weather": {"rain": True}}).ok()
    phone = world.phone()
    sale_id, answer = lane.buy(phone, 100, weather="rain")
    if not answer["approved"]:
        raise Broken("an approval, unknown members or not", came=str(answer))
    lane.outcome(phone, 100, sale_id)


@GROUP.case("T-07", "an unknown path is a problem document")
def unknown_path(world: World) -> None:
    line = world.lane().line
    for path in ("/", "/v1", "/v1/nothing", "/v2/keys", "/v1/snapshot/a/b/c"):
        line.get(path).problem(404, "not_found")


@GROUP.case("T-08", "a method that a call does not have is a problem document")
def other_method(world: World) -> None:
    line = world.lane().line
    for method, path in (("DELETE", "/v1/keys"), ("GET", "/v1/journal"), ("POST", "/v1/policy"), ("PUT", "/v1/enroll")):
        line.ask(method, path, content=None if method == "GET" else b"{}").problem(405, "method_not_allowed")


@GROUP.case("T-09", "what is no whole number in range is no amount")
def numbers(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    good = lane.request(phone, 100, lane.new_sale())
    for minor in (0, -1, 2**53, 1.5, 100.0, "100", True, None, 1e300):
        body = good | {"amount": {"minor": minor, "currency": lane.currency}}
        lane.ask(body).problem(400, "malformed")


@GROUP.case("T-09", "a sale id, lender or attempt outside its pattern is refused")
def names(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    good = lane.request(phone, 100, lane.new_sale())
    for other in ({"sale_id": "short"}, {"sale_id": "a" * 37}, {"sale_id": "über-sale-1"}, {"attempt": 0},
                  {"lender": "x" * 17}, {"lender": "../../x"}, {"category": "54"}, {"epoch": -1}):  # fmt: skip
        lane.ask(good | other, key="a/b/c/1").problem(400, "malformed")


@GROUP.case("T-10", "an unknown value of a closed list is refused")
def closed_list(world: World) -> None:
    lane, phone = world.lane(), world.bystander()
    lane.ask(lane.request(phone, 100, lane.new_sale(), capture="perhaps")).problem(400, "malformed")


@GROUP.case("T-11", "a body above the limit is refused and not read to its end")
def too_large(world: World) -> None:
    lane = world.lane()
    try:
        exchange = lane.line.post("/v1/heartbeat", b" " * (8 * 1024 * 1024 + 1))
    except Broken:
        return  # closed in the middle of what nobody wants to read
    exchange.problem(413, "too_large")


@GROUP.case("T-12", "a header block above the limit is refused")
def long_headers(world: World) -> None:
    try:
        exchange = world.lane().line.get(f"/v1/keys?lender={world.lender}", X_Long="a" * 70_000)
    except Broken:
        return
    exchange.demand(400 <= exchange.status < 500, "a refusal with status 4xx, or the end of the connection")


@GROUP.case("T-13", "the description of every call is served to anybody")
def openapi(world: World) -> None:
    exchange = world.stranger.get("/v1/openapi.json")
    document = exchange.ok()
    exchange.demand(str(document.get("openapi", "")).startswith("3.1"), 'a member openapi: "3.1.…"')
    exchange.demand("/v1/journal" in document.get("paths", {}), "a description of POST /v1/journal")


@GROUP.case("T-14", "bytes that are no HTTP end a connection, and the backend goes on")
def no_http(world: World) -> None:
    address = urlsplit(world.url)
    for noise in (b"\x00" * 200, b"GET / HTTP/9.9\r\n\r\n", b"GET /v1/ca HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
        raw = socket.create_connection((address.hostname or "", address.port or 443), timeout=10)
        with pinned(world.ca_pem).wrap_socket(raw, server_hostname=address.hostname) as wrapped:
            wrapped.sendall(noise)
            wrapped.settimeout(10)
            try:
                answer = wrapped.recv(4096)
            except (OSError, http.client.HTTPException):
                answer = b""
        if answer.startswith(b"HTTP/1.1 5"):
            raise Broken("a refusal or the end of the connection", sent=repr(noise[:60]), came=answer[:200].decode())
    world.stranger.get("/v1/ca").ok()


@GROUP.case("T-15", "a flood is slowed down with 429 and Retry-After, or answered")
def flood(world: World) -> None:
    lane = world.fresh_lane()
    for _ in range(FLOOD):
        exchange = lane.line.post("/v1/heartbeat", _heartbeat(world))
        if exchange.status == 429:
            exchange.problem(429, "too_many_requests")
            exchange.demand(exchange.headers.get("retry-after", "").isdecimal(), "a header Retry-After in seconds")
            return
        exchange.ok()
