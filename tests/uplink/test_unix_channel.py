"""The channel over a real Unix socket: for its owner only, and usable again after whatever died."""

import asyncio
from pathlib import Path

import pytest

from agent.core.cbor import Value
from agent.uplink.channel import Channel, NoReply
from agent.uplink.remote import READ_BYTES_MAX
from agent.uplink.unix_channel import connect_unix, serve_unix
from tests.uplink.world import run_real, running


async def echo(body: Value) -> Value:
    return body


def test_two_processes_talk_over_the_socket(tmp_path: Path) -> None:
    async def test() -> None:
        attached: list[Channel] = []
        async with await serve_unix(tmp_path / "uplink.sock", {"echo": echo}, attached.append):
            channel = await connect_unix(tmp_path / "uplink.sock", {"echo": echo})
            with running(channel.run()):
                assert await channel.call("echo", b"x" * 500_000, 2) == b"x" * 500_000
                assert await attached[0].call("echo", [b"e" * 300] * 500, 2) == [b"e" * 300] * 500
                channel.close()

    run_real(test())


def test_only_the_owner_may_connect(tmp_path: Path) -> None:
    async def test() -> None:
        async with await serve_unix(tmp_path / "uplink.sock", {}, lambda _: None):
            assert (tmp_path / "uplink.sock").stat().st_mode & 0o777 == 0o600

    run_real(test())


def test_the_socket_of_a_process_that_was_killed_is_in_nobodys_way(tmp_path: Path) -> None:
    async def test() -> None:
        for _ in range(2):  # the file stays when a process is killed
            server = await serve_unix(tmp_path / "uplink.sock", {"echo": echo}, lambda _: None)
            channel = await connect_unix(tmp_path / "uplink.sock", {})
            with running(channel.run()):
                assert await channel.call("echo", 1, 2) == 1
                channel.close()
            server.close()

    run_real(test())


def test_nobody_listening_is_an_error_of_the_system(tmp_path: Path) -> None:
    async def test() -> None:
        with pytest.raises(OSError, match=r".+"):
            await connect_unix(tmp_path / "uplink.sock", {})

    run_real(test())


def test_the_agent_does_not_read_messages_that_would_keep_it_from_its_sales(tmp_path: Path) -> None:
    async def test() -> None:
        async with await serve_unix(tmp_path / "uplink.sock", {"echo": echo}, lambda _: None):
            channel = await connect_unix(tmp_path / "uplink.sock", {})
            with running(channel.run()):
                with pytest.raises(NoReply):
                    await channel.call("echo", bytes(READ_BYTES_MAX), 2)
                await asyncio.sleep(0)
                assert channel.closed

    run_real(test())
