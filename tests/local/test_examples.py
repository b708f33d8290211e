"""What README and examples/ show to who writes POS software is run here, as it stands there."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.demo.props import free_port
from agent.local.access import Caller, proof_of
from agent.local.client import LocalClient
from agent.local.secret import publish_token
from tests.local.served import SECRET, ServedLane
from tests.services.lanes import Till

ROOT = Path(__file__).parents[2]
SHELL = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
CURLS = [line for block in SHELL for line in block.replace("\\\n", " ").splitlines() if line.startswith("curl")]


@pytest.fixture
def pos(till: Till) -> Iterator[ServedLane]:
    lane = ServedLane(till)
    lane.port = free_port()
    publish_token(till.directory / "pos-token", SECRET)
    yield lane


def client_of(pos: ServedLane, *words: str) -> subprocess.Popen[str]:
    line = [sys.executable, ROOT / "examples/pos_client.py", f"http://127.0.0.1:{pos.port}"]
    more = [pos.till.directory / "pos-token", *words]
    return subprocess.Popen([*line, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_example_sells_with_a_code(pos: ServedLane) -> None:
    code = pos.till.phone().code()
    said = pos.tell(lambda _: client_of(pos, "2580", code).communicate(timeout=60)[0])
    assert said.startswith("approved") and len(said.splitlines()) == 1


def test_the_example_waits_for_a_scan_through_a_decline(pos: ServedLane) -> None:
    def story(client: LocalClient) -> str:
        program = client_of(pos, "2580")
        while client.get("/v1/counter")["sale"] is None:
            assert program.poll() is None, program.communicate()[0]
            time.sleep(0.05)
        pos.scan(pos.till.phone().code())
        return program.communicate(timeout=60)[0]

    assert pos.tell(story).startswith("approved")


def test_the_example_prints_why_it_is_refused(pos: ServedLane) -> None:
    said = pos.tell(lambda _: client_of(pos, "0").communicate(timeout=60)[0])
    assert "an amount lies between" in said and "Traceback" not in said


def test_the_example_is_as_short_as_it_says() -> None:
    source = (ROOT / "examples/pos_client.py").read_text().splitlines()
    first = next(number for number, line in enumerate(source) if line.startswith("URL"))
    assert sum(1 for line in source[first:] if line.strip()) <= 40


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_lines_of_the_readme_are_answered(pos: ServedLane) -> None:
    given = {
        "SOCKET": str(pos.path),
        "PORT": str(pos.port),
        "CODE": pos.till.phone().code(),
        "TOKEN": proof_of(Caller.POS, SECRET),
    }
    assert len(CURLS) >= 2

    def story(_: LocalClient) -> list[str]:
        return [
            subprocess.run(
                ["bash", "-euo", "pipefail", "-c", line], env={**os.environ, **given},
                capture_output=True, text=True, check=True, timeout=60,
            ).stdout
            for line in CURLS
        ]  # fmt: skip

    answers = pos.tell(story)
    assert '"state":"approved"' in answers[0]
    assert '"last_event_id"' in answers[1]


def test_the_example_sells_through_a_restart_of_the_agent(pos: ServedLane) -> None:
    def until_waiting(client: LocalClient) -> None:
        while client.get("/v1/counter")["sale"] is None:
            assert program.poll() is None, program.communicate()[0]
            time.sleep(0.05)

    def scanned(client: LocalClient) -> str:
        until_waiting(client)
        pos.scan(pos.till.phone().code())
        return program.communicate(timeout=30)[0]

    program = client_of(pos, "2580")
    pos.tell(until_waiting)
    pos.till.restart()
    assert pos.tell(scanned).startswith("approved")


def test_the_example_says_that_its_token_is_wrong(pos: ServedLane) -> None:
    (pos.till.directory / "pos-token").write_text("0" * 64)
    said = pos.tell(lambda _: client_of(pos, "2580").communicate(timeout=20)[0])
    assert "`counterfoil token` shows it" in said and "Traceback" not in said
