"""The certificate is renewed in time, by whoever's clock is right, and a crash at any step leaves a pair that works."""

import asyncio
import json
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from agent.errors import NotEnrolled
from agent.uplink import identity
from agent.uplink.certificate import AGAIN_MAX_S, LOOK_S, Renewal
from agent.uplink.connection import KEEPALIVE_S, Line, Timeouts, tls_context
from agent.uplink.faults import RETRY_AFTER_MAX_S, BackendFault
from agent.uplink.identity import Enrolled, certificate_life, load_certificate, save_identity
from agent.uplink.lane_keys import prepare_keys, public_der
from agent.uplink.lane_side import LenderState
from backend.identity import Authority, LaneName
from tests.uplink.world import LENDER, NOW_S, Lane, Server, client_of, problem, run, running, until

DAY_S = 86_400
AUTHORITY, OTHER = Authority.create(NOW_S), Authority.create(NOW_S)
LANE = LaneName("lane-1", "m1", "s1")


@dataclass
class PaperLine:
    """Counts how often a new certificate was taken into use."""

    identity_dir: Path
    taken: int = 0

    async def take_new_certificate(self) -> None:
        tls_context(self.identity_dir)  # what is on the disk fits and loads
        self.taken += 1


class Aging(Lane):
    """A lane whose clock goes on with the loop, from `begin_s` on."""

    begin_s = NOW_S

    async def lenders(self) -> list[LenderState]:
        now_s = self.begin_s + int(asyncio.get_running_loop().time())
        return [LenderState(LENDER, b"", b"", (), now_s)]


@dataclass
class Renewing:
    """An enrolled lane and a backend that renews: same request, same answer."""

    directory: Path
    lane: Aging = field(default_factory=Aging)
    server: Server = field(default_factory=Server)
    answers: dict[str, bytes] = field(default_factory=dict)
    lie: Callable[[dict[str, str]], dict[str, str]] = lambda answer: answer

    def __post_init__(self) -> None:
        keys = prepare_keys(self.directory, lambda size: bytes([7]) * size)
        enrolled = Enrolled("lane-1", "s1", "m1", "Shop", "5411", "CNY", 1, (), "0" * 64)
        certificate = AUTHORITY.issue_lane(keys.csr, LANE, NOW_S)
        save_identity(self.directory, enrolled, certificate=certificate, ca=AUTHORITY.certificate_pem)
        self.server.answers["POST", "/v1/certificates"] = self._renew
        self.client = client_of(self.server)
        self.line = PaperLine(self.directory)
        self.renewal = Renewal(self.lane, self.client, self.line, random.Random(1))

    def _renew(self, request: httpx.Request) -> httpx.Response:
        csr = json.loads(request.content)["csr"]
        now_s = self.lane.begin_s + int(asyncio.get_running_loop().time())
        certificate = self.answers.setdefault(csr, AUTHORITY.issue_lane(csr.encode(), LANE, now_s))
        answer = {"certificate": certificate.decode(), "ca": AUTHORITY.certificate_pem.decode()}
        return httpx.Response(200, json=self.lie(answer))

    @property
    def end_s(self) -> int:
        return certificate_life(self.directory)[1]

    @property
    def public(self) -> bytes:
        return public_der(load_certificate(self.directory).public_key())

    @property
    def asked(self) -> int:
        return self.server.seen.count(("POST", "/v1/certificates"))


@pytest.fixture
def renewing(tmp_path: Path) -> Renewing:
    return Renewing(tmp_path)


def test_at_two_thirds_of_its_life_a_certificate_is_replaced_by_one_for_another_key(renewing: Renewing) -> None:
    async def test() -> None:
        begin_s, end_s = certificate_life(renewing.directory)
        first = renewing.public
        two_thirds_s = (end_s - begin_s) * 2 // 3 - DAY_S  # it begins a day early, for clocks that are behind
        with running(renewing.renewal.run()):
            await asyncio.sleep(two_thirds_s - 2 * LOOK_S)
            assert renewing.asked == 0
            await asyncio.sleep(4 * LOOK_S)
        assert (renewing.asked, renewing.line.taken) == (1, 1)
        assert renewing.end_s > end_s
        assert renewing.public != first
        assert identity.load_identity(renewing.directory).lane == "lane-1"

    run(test(), timeout_s=400 * DAY_S)


def test_a_second_renewal_asks_with_a_third_key(renewing: Renewing) -> None:
    async def test() -> None:
        with running(renewing.renewal.run()):
            await until(lambda: renewing.asked == 2, step_s=DAY_S)
        csrs = [public_der(x509.load_pem_x509_csr(csr.encode()).public_key()) for csr in renewing.answers]
        assert len(set(csrs)) == 2

    run(test(), timeout_s=900 * DAY_S)


def test_a_lane_whose_clock_is_behind_believes_the_backend_that_its_certificate_has_expired(renewing: Renewing) -> None:
    async def test() -> None:
        with running(renewing.renewal.run()):
            renewing.server.faults = [problem(403, "certificate_expired")]
            with pytest.raises(BackendFault):
                await renewing.client.heartbeat(LENDER, bytes(16), {}, 1)
            await until(lambda: renewing.line.taken, step_s=LOOK_S)
        assert renewing.asked == 1

    run(test())


REFUSALS: dict[str, Any] = {
    "not_now": problem(503, "recovering"),
    "much_later": httpx.Response(429, headers={"Retry-After": "86400"}),
    "not_for_this_lane": problem(403, "lane_revoked"),
    "not_understood": problem(404, "not_found"),
    "lost": ("lost", httpx.ConnectError("no route")),
    "unheard": ("unheard", httpx.ReadError("reset")),
}


@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS.keys())
def test_whatever_is_in_the_way_it_is_asked_for_again_the_same_day_with_the_same_request(
    answer: Any, renewing: Renewing
) -> None:
    async def test() -> None:
        renewing.lane.begin_s = NOW_S + 300 * DAY_S
        renewing.server.always = answer
        old = (renewing.directory / identity.CERTIFICATE_FILE).read_bytes()
        with running(renewing.renewal.run()):
            await asyncio.sleep(10 * DAY_S)
            assert 10 * DAY_S / (AGAIN_MAX_S + RETRY_AFTER_MAX_S) <= renewing.asked < 300
            assert (renewing.directory / identity.CERTIFICATE_FILE).read_bytes() == old
            renewing.server.always = None
            await until(lambda: renewing.line.taken, step_s=3600)
        assert len(renewing.answers) == 1

    run(test(), timeout_s=100 * DAY_S)


def other_key(answer: dict[str, str]) -> dict[str, str]:
    return {**answer, "certificate": AUTHORITY.certificate_pem.decode()}


def other_name(answer: dict[str, str]) -> dict[str, str]:
    csr = (PLACE[0] / identity.REQUEST_FILE).read_bytes()
    return {**answer, "certificate": AUTHORITY.issue_lane(csr, LaneName("lane-2", "m1", "s1"), NOW_S).decode()}


def other_ca(answer: dict[str, str]) -> dict[str, str]:
    csr = (PLACE[0] / identity.REQUEST_FILE).read_bytes()
    return {"certificate": OTHER.issue_lane(csr, LANE, NOW_S).decode(), "ca": OTHER.certificate_pem.decode()}


PLACE: list[Path] = []


@pytest.mark.parametrize("lie", [other_key, other_name, other_ca, lambda answer: {**answer, "certificate": "garbage"}])
def test_an_answer_that_does_not_fit_leaves_the_old_pair_in_force(lie: Any, renewing: Renewing) -> None:
    PLACE[:] = [renewing.directory]

    async def test() -> None:
        renewing.lane.begin_s = NOW_S + 300 * DAY_S
        renewing.lie = lie
        old = (renewing.directory / identity.CERTIFICATE_FILE).read_bytes()
        with running(renewing.renewal.run()):
            await asyncio.sleep(DAY_S)
        assert renewing.asked >= 1
        assert (renewing.line.taken, (renewing.directory / identity.CERTIFICATE_FILE).read_bytes()) == (0, old)

    run(test(), timeout_s=100 * DAY_S)


def test_a_power_cut_at_any_file_leaves_a_pair_that_works_and_a_renewal_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_file, cuts = Path.replace, 0
    for step in range(6):
        (tmp_path / str(step)).mkdir()
        renewing, left = Renewing(tmp_path / str(step)), step
        renewing.lane.begin_s = NOW_S + 300 * DAY_S

        def cut(path: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError("power cut")
            return replace_file(path, target)

        async def once(renewing: Renewing = renewing) -> None:
            await renewing.renewal._look()

        monkeypatch.setattr(Path, "replace", cut)
        run(once())
        monkeypatch.setattr(Path, "replace", replace_file)
        tls_context(renewing.directory)
        cuts += not renewing.line.taken
        run(once())
        tls_context(renewing.directory)
        assert renewing.line.taken
        assert len(renewing.answers) == 1
    assert cuts == 3  # key, request, pair


@pytest.mark.parametrize("name", [identity.TLS_KEY_FILE, identity.REQUEST_FILE])
def test_a_damaged_key_that_is_not_in_force_yet_is_made_anew(name: str, renewing: Renewing) -> None:
    renewing.lane.begin_s = NOW_S + 300 * DAY_S
    (renewing.directory / name).write_bytes(b"garbage")
    run(renewing.renewal._look())
    assert renewing.line.taken == 1


def test_new_connections_show_the_new_certificate_and_old_ones_end_without_a_lost_call(tmp_path: Path) -> None:
    async def test() -> None:
        (tmp_path / "lane").mkdir()
        renewing, shown = Renewing(tmp_path / "lane"), []
        key, certificate = AUTHORITY.issue_server(["127.0.0.1"], NOW_S)
        (tmp_path / "server.pem").write_bytes(key + certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        context.load_verify_locations(renewing.directory / identity.CA_FILE)
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the certificates of this test are of 2027

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            while request := await reader.readuntil(b"\r\n\r\n"):
                shown.append(peer)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                if b"connection: close" in request.lower():
                    break
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        line = Line(renewing.directory, url, Timeouts(30, 30))
        line._context.verify_flags |= 0x200000
        async with server, line.http as http:
            await http.get("/")
            await http.get("/")
            await renewing.renewal._renew()
            taking = asyncio.create_task(line.take_new_certificate())
            for _ in range(3):
                await asyncio.sleep(0.01)
                assert (await http.get("/")).status_code == 200
            taking.cancel()
        newest = load_certificate(renewing.directory)
        numbers = [x509.load_der_x509_certificate(der).serial_number for der in shown]
        assert numbers[0] == numbers[1] == numbers[2] != newest.serial_number  # the third ends the old connection
        assert numbers[3:] == [newest.serial_number] * 2
        assert KEEPALIVE_S >= 60

    asyncio.run(asyncio.wait_for(test(), 120))


def test_a_certificate_that_cannot_be_read_says_that_the_lane_must_enroll(tmp_path: Path) -> None:
    with pytest.raises(NotEnrolled):
        certificate_life(tmp_path)
