"""A crowd at the local API: who is too many, too slow or too fast pays itself, and the till sells."""

import asyncio
import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.local import limits
from agent.local.client import LocalClient
from agent.local.limits import Paced
from tests.local.served import ServedLane
from tests.services.lanes import Till

AMOUNT = {"minor": 3_000, "currency": "CNY"}
CROWD = """
import socket, sys
path, many, data = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
lines = []
for _ in range(many):
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(path)
        line.sendall(data)
    except OSError:
        pass
    lines.append(line)
print("there", flush=True)
sys.stdin.read()
"""
"""A process that opens `many` connections, says the beginning of a request on each, and stays."""
BEGINNINGS = {
    "nothing": b"",
    "half a header": b"POST /v1/sales HTTP/1.1\r\nHost: localhost\r\nX-",
    "half a body": b"POST /v1/sales HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    "a wait of a minute": b"GET /v1/sales/sale-0000?wait_s=60 HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.fixture
def pos(till: Till) -> ServedLane:
    return ServedLane(till)


@contextlib.contextmanager
def crowd(path: Path, many: int, beginning: bytes) -> Iterator[None]:
    line = [sys.executable, "-c", CROWD, str(path), str(many), beginning.hex()]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"there\n"
        yield
        process.stdin.close()


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
def test_two_thousand_connections_of_another_program_do_not_keep_the_till_from_selling(
    pos: ServedLane, beginning: bytes
) -> None:
    def story(client: LocalClient) -> None:
        client.post("/v1/sales", {"sale_id": "sale-0000", "amount": AMOUNT})
        with crowd(pos.path, 2_000, beginning):
            for number in range(1, 4):
                body = {"sale_id": f"sale-000{number}", "amount": AMOUNT, "code": pos.till.phone().code()}
                assert client.post("/v1/sales", body)["state"] == "approved"
            assert open_connections(pos) <= limits.CONNECTIONS_MAX

    pos.tell(story)


def test_many_programs_share_what_there_is_and_a_new_caller_still_gets_in(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        with contextlib.ExitStack() as programs:
            for _ in range(6):
                programs.enter_context(crowd(pos.path, limits.PEER_CONNECTIONS_MAX, BEGINNINGS["half a header"]))
            body = {"sale_id": "sale-0001", "amount": AMOUNT, "code": pos.till.phone().code()}
            assert client.post("/v1/sales", body)["state"] == "approved"
            assert open_connections(pos) <= limits.CONNECTIONS_MAX

    pos.tell(story)


def open_connections(pos: ServedLane) -> int:
    """Ends of this lane's socket that the kernel counts as connected and accepted."""
    table = Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(str(pos.path)) and line.split()[5] == "03" for line in table)


@pytest.mark.parametrize("beginning", ["nothing", "half a header", "half a body"])
def test_a_request_that_is_not_whole_in_time_is_closed(
    pos: ServedLane, beginning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REQUEST_S", 0.2)

    def story(_: LocalClient) -> None:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(30)
            began = time.monotonic()
            line.connect(str(pos.path))
            line.sendall(BEGINNINGS[beginning])
            with contextlib.suppress(ConnectionResetError):
                assert b"200" not in line.recv(4_096)
            assert time.monotonic() - began > 0.1

    before = pos.till.ledger.head
    pos.tell(story)
    assert pos.till.ledger.head == before


def test_dripping_bytes_does_not_win_time(pos: ServedLane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_S", 0.3)

    def story(_: LocalClient) -> None:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(pos.path))
            line.sendall(b"GET /v1/status HTTP/1.1\r\nX: ")
            began = time.monotonic()
            with pytest.raises(OSError, match=r"Broken pipe|reset"):
                while time.monotonic() - began < 30:
                    line.sendall(b"x")
                    time.sleep(0.02)

    pos.tell(story)


def test_a_till_that_keeps_its_connection_asks_and_waits_as_long_as_it_may(
    pos: ServedLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REQUEST_S", 1.0)

    def story(client: LocalClient) -> None:
        client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT})
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(pos.path))
        for wait_s, rest_s in ((0, 1.3), (1.3, 0.1), (0, 0)):
            connection.request("GET", f"/v1/sales/sale-0001?wait_s={wait_s}")
            assert json.loads(connection.getresponse().read())["state"] == "waiting"
            time.sleep(rest_s)
        connection.close()

    pos.tell(story)


def test_a_wait_ends_with_its_caller(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        client.post("/v1/sales", {"sale_id": "sale-0000", "amount": AMOUNT})
        before = len(asyncio.all_tasks(pos.loop))
        with crowd(pos.path, 20, BEGINNINGS["a wait of a minute"]):
            assert until(lambda: len(asyncio.all_tasks(pos.loop)) >= before + 20)
        assert until(lambda: len(asyncio.all_tasks(pos.loop)) <= before)

    pos.tell(story)


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


# -- the pace ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def now_s() -> list[float]:
    return [1_000.0]


@pytest.fixture
def paced(now_s: list[float]) -> Paced:
    application: Any = None
    return Paced(application, lambda: now_s[0])


def asked(paced: Paced, peer: str, times: int) -> list[float]:
    return [paced.wait_s(peer) for _ in range(times)]


def test_a_burst_is_answered_at_once_and_what_is_more_at_the_pace(paced: Paced, now_s: list[float]) -> None:
    burst = int(limits.REQUESTS_BURST)
    assert asked(paced, "7", burst) == [0.0] * burst
    assert asked(paced, "7", 3) == pytest.approx([1 / limits.REQUESTS_PER_S * n for n in (1, 2, 3)])
    now_s[0] += 60
    assert asked(paced, "7", burst) == [0.0] * burst


def test_a_caller_waits_for_its_own_requests_only(paced: Paced) -> None:
    asked(paced, "7", 10_000)
    assert paced.wait_s("8") == 0.0


def test_callers_that_are_gone_are_forgotten(paced: Paced, now_s: list[float]) -> None:
    for peer in range(10_000):
        now_s[0] += 0.1
        paced.wait_s(str(peer))
    assert len(paced._paid_until_s) <= limits.CONNECTIONS_MAX + 1
