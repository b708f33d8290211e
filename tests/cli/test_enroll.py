"""`counterfoil enroll` beside a real backend: a computer becomes a lane, stays it, and is made one anew if told to."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.store.ledger import SqliteLedger
from agent.uplink.identity import load_identity
from backend.database import transaction
from backend.enrollment import NewLane, create_code
from tests.uplink.shop import Shop, now_s

LANE = NewLane("lane-1", "store-1", "merchant-1", "示例超市", "5411", "CNY")


class Counter:
    """A computer with a configuration, and the backend that makes it a lane."""

    def __init__(self, directory: Path) -> None:
        (directory / "backend").mkdir()
        self.state, self.shop = directory / "state", Shop(directory / "backend")
        self.config = directory / "agent.toml"
        self.config.write_text(
            f'[lane]\nstate_dir = "{self.state}"\nrun_dir = "{directory}/run"\n[backend]\nurl = "{self.shop.url}"\n'
            '[merchant]\nname = "Corner Shop"\nstore_name = "West"\ncategory = "5411"\n'
        )

    def code(self, *, replace: bool = False) -> str:
        backend = self.shop.backend
        with transaction(backend.database):
            return create_code(LANE, self.shop.authority, now_s=now_s(), randomness=os.urandom, replace=replace)

    async def enroll(self, code: str, *words: str) -> int:
        return await asyncio.to_thread(main, ["enroll", "--config", str(self.config), "--code", code, *words])


def beside_a_backend(directory: Path, story: object) -> None:
    async def test() -> None:
        counter = Counter(directory)
        counter.shop.open()
        await counter.shop.listens()
        try:
            await story(counter)  # type: ignore[operator]
        finally:
            await counter.shop.stop()

    asyncio.run(asyncio.wait_for(test(), 30))


def test_a_second_enrollment_says_who_this_computer_is_already_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story(counter: Counter) -> None:
        code = counter.code()
        assert await counter.enroll(code) == 0
        files = {path: path.read_bytes() for path in counter.state.rglob("*") if path.is_file()}
        capsys.readouterr()
        assert await counter.enroll(code) == 0
        assert "This is lane lane-1 of store store-1 (示例超市) already, by this same code" in capsys.readouterr().out
        assert await counter.enroll(counter.code(replace=True)) == 1
        assert "is lane lane-1 of store store-1 (示例超市) already, with another code" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in counter.state.rglob("*") if path.is_file()} == files

    beside_a_backend(tmp_path, story)


def test_a_lane_is_made_anew_with_its_old_ledger_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def story(counter: Counter) -> None:
        assert await counter.enroll(counter.code()) == 0
        assert "lane lane-1 of store store-1" in capsys.readouterr().out
        SqliteLedger.open(str(counter.state / "ledger.db"), wal_pages=0).close()
        code = counter.code(replace=True)
        assert await counter.enroll(code) == 1
        assert "--replace" in capsys.readouterr().err
        assert await counter.enroll(code, "--replace", "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["epoch"], told["unsent"]) == (2, 0)
        assert (Path(told["kept"]) / "ledger.db").exists()
        assert not (counter.state / "ledger.db").exists()
        enrolled = load_identity(counter.state / "identity")
        assert enrolled.reason == "replaced"
        assert enrolled.previous is not None and enrolled.previous.epoch == 1

    beside_a_backend(tmp_path, story)


def test_a_lane_whose_agent_runs_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def story(counter: Counter) -> None:
        assert await counter.enroll(counter.code()) == 0
        running = SqliteLedger.open(str(counter.state / "ledger.db"), wal_pages=0)
        try:
            assert await counter.enroll(counter.code(replace=True), "--replace") == 1
        finally:
            running.close()
        assert "stop the agent" in capsys.readouterr().err
        assert load_identity(counter.state / "identity").epoch == 1

    beside_a_backend(tmp_path, story)
