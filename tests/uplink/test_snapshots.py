"""New layers are downloaded, resumed, checked to the last page and offered; damage never gets as far as the lane."""

import asyncio
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.core import cbor, cose, trust
from agent.core.snapshot_layer import PAGE_BYTES, Record
from agent.uplink.link import Link
from agent.uplink.snapshots import Snapshots
from agent.uplink.spool import Spool
from tests.core.layers import BUILT_AT, KEYS, MANIFEST, built
from tests.uplink.world import LENDER, Lane, Server, client_of, pace, problem, run, running, until

ROOT = cose.SigningKey.from_seed("ed25519", b"r" * 32)
KEY_LIST = trust.sign_key_list(KEYS, ROOT)
RECORDS = [Record(token=bytes([n]) * 16, allowance_minor=100, valid_until_s=BUILT_AT + 7200) for n in range(1, 9)]
BASE = built(RECORDS)
NEXT = built(RECORDS[:3], replace(MANIFEST, sequence=9, base_sequence=9))


class Depot:
    """A backend with layers, and what hinders their delivery."""

    def __init__(self, spool: Path) -> None:
        self.lane, self.server, self.link = Lane(), Server(), Link(3)
        self.lane.root, self.lane.keys = cbor.encode(ROOT.public.to_cose_key()), KEY_LIST
        self.lane.lenders = self._lenders  # type: ignore[method-assign]
        self.ranges: list[str | None] = []
        self.spool = Spool(spool, free_min_bytes=0)
        self.directory = spool
        self.snapshots = Snapshots(
            self.lane, client_of(self.server), self.link, pace(),
            spool=self.spool, run_blocking=self._at_once, poll_s=15,
        )  # fmt: skip

    async def _lenders(self) -> Any:
        return [replace(state, now_s=BUILT_AT + 60) for state in await Lane.lenders(self.lane)]

    async def _at_once(self, function: Any, *args: Any) -> Any:
        return function(*args)

    def publish(self, sequence: int, *layers: tuple[int, bytes], tear_at: int | None = None, **told: Any) -> None:
        rows = []
        for number, data in layers:
            rows.append(
                {"sequence": number, "base": number == layers[0][0], "size": len(data), "url": f"/layers/{number}"}
                | {"sha256": sha256(data).hexdigest()} | told
            )  # fmt: skip
            self.server.answers["GET", f"/layers/{number}"] = self._delivery(data, tear_at)
        self.server.answers["GET", "/v1/snapshot"] = self._list({"sequence": sequence, "layers": rows}, f'"{sequence}"')

    def _list(self, body: object, etag: str) -> Any:
        def answer(request: httpx.Request) -> httpx.Response:
            if request.headers.get("If-None-Match") == etag:
                return httpx.Response(304)
            return httpx.Response(200, json=body, headers={"ETag": etag})

        return answer

    def _delivery(self, data: bytes, tear_at: int | None) -> Any:
        def answer(request: httpx.Request) -> httpx.Response:
            asked = request.headers.get("Range")
            self.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if asked else {}
            end = start + tear_at if tear_at else len(data)
            return httpx.Response(206 if asked else 200, stream=Torn(data[start:end], end < len(data)), headers=headers)

        return answer

    @property
    def files(self) -> list[Path]:
        return [path for path in self.directory.rglob("*") if path.is_file()]


class Torn(httpx.AsyncByteStream):
    """Delivers some bytes and then, perhaps, tears."""

    def __init__(self, data: bytes, tears: bool) -> None:
        self._data = data
        self._tears = tears

    async def __aiter__(self) -> Any:
        yield self._data
        if self._tears:
            raise httpx.ReadError("reset")


def test_a_new_snapshot_is_offered_complete_and_the_spool_is_empty_afterwards(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.publish(7, (7, BASE))
        offered: list[bytes] = []

        async def look(lender: str, sequence: int, layers: Any) -> bool:
            offered.extend(Path(layer.path).read_bytes() for layer in layers)  # noqa: ASYNC240
            return await Lane.snapshot_ready(depot.lane, lender, sequence, layers)

        depot.lane.snapshot_ready = look  # type: ignore[method-assign]
        with running(depot.snapshots.run()):
            await until(lambda: depot.lane.snapshots)
            await asyncio.sleep(100)
        assert offered == [BASE]
        assert depot.lane.layers == (7,)
        assert len(depot.lane.snapshots) == 1
        assert not depot.files

    run(test())


def test_a_torn_download_goes_on_where_it_ended(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.publish(7, (7, BASE), tear_at=3000)
        with running(depot.snapshots.run()):
            await until(lambda: depot.lane.snapshots, step_s=1)
        assert depot.ranges[:3] == [None, "bytes=3000-", "bytes=6000-"]
        assert sum(1 for asked in depot.ranges if asked is None) == 1

    run(test())


def test_a_server_that_begins_anew_is_followed(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.publish(7, (7, BASE), tear_at=3000)
        with running(depot.snapshots.run()):
            await until(lambda: depot.ranges)
            depot.server.answers["GET", "/layers/7"] = httpx.Response(200, content=BASE)
            await until(lambda: depot.lane.snapshots, step_s=1)

    run(test())


def test_only_layers_that_the_lane_lacks_are_fetched(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.lane.layers = (7,)
        depot.publish(9, (7, BASE), (9, NEXT))
        with running(depot.snapshots.run()):
            await until(lambda: depot.lane.snapshots)
        ((_, layers),) = depot.lane.snapshots
        assert [layer.sequence for layer in layers] == [9]
        assert ("GET", "/layers/7") not in depot.server.seen

    run(test())


def test_an_older_or_equal_snapshot_is_not_fetched(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.lane.layers = (9,)
        depot.publish(7, (7, BASE))
        with running(depot.snapshots.run()):
            await asyncio.sleep(100)
        assert not depot.lane.snapshots
        assert not depot.ranges

    run(test())


FOREIGN = built(RECORDS, replace(MANIFEST, lender="otherlend"))
DAMAGED = bytearray(BASE)
DAMAGED[PAGE_BYTES + 20] ^= 1
BAD = {
    "a_flipped_bit_in_a_page": bytes(DAMAGED),
    "another_lender": FOREIGN,
    "another_sequence": NEXT,
    "not_a_layer": b"<html>" * 2000,
    "nothing": b"",
    "cut_short": BASE[:-1],
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_a_layer_that_is_not_sound_never_gets_to_the_lane(data: bytes, tmp_path: Path) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.publish(7, (7, data))
        with running(depot.snapshots.run()):
            await asyncio.sleep(300)
            assert not depot.lane.snapshots
            assert len(depot.ranges) <= 1  # it is as announced: fetching it again would not help
            depot.publish(9, (9, NEXT))
            await until(lambda: depot.lane.snapshots)

    run(test())


def test_a_layer_that_is_not_as_announced_is_fetched_again_but_not_in_a_tight_loop(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.publish(7, (7, BASE), sha256=sha256(b"other").hexdigest())
        with running(depot.snapshots.run()):
            await asyncio.sleep(3600)
            assert 30 < len(depot.ranges) < 180  # looking every 15 s would be 240 downloads
            assert not depot.lane.snapshots

    run(test())


def test_a_layer_signed_with_a_key_that_comes_later_waits_for_it_without_another_download(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.lane.keys = trust.sign_key_list(replace(KEYS, keys=()), ROOT)
        depot.publish(7, (7, BASE))
        with running(depot.snapshots.run()):
            await asyncio.sleep(100)
            assert not depot.lane.snapshots
            depot.lane.keys = KEY_LIST
            await until(lambda: depot.lane.snapshots)
        assert len(depot.ranges) == 1

    run(test())


def test_a_snapshot_that_the_lane_did_not_install_is_offered_again_without_another_download(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.lane.accepts = False
        depot.publish(7, (7, BASE))
        with running(depot.snapshots.run()):
            await asyncio.sleep(31)
            depot.lane.accepts = True
            await until(lambda: depot.lane.layers == (7,))
        assert len(depot.lane.snapshots) == 4
        assert len(depot.ranges) == 1

    run(test())


def test_what_is_left_of_an_abandoned_download_goes_when_there_is_a_newer_snapshot(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.publish(7, (7, BASE))
        depot.server.answers["GET", "/layers/7"] = httpx.Response(200, content=BASE[:100])
        with running(depot.snapshots.run()):
            await until(lambda: depot.files)
            depot.publish(9, (9, NEXT))
            await until(lambda: depot.lane.snapshots)
        assert not depot.files

    run(test())


def test_a_layer_that_the_backend_no_longer_has_is_given_up_and_its_beginning_deleted(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.publish(7, (7, BASE), tear_at=3000)
        with running(depot.snapshots.run()):
            await until(lambda: depot.files and depot.ranges)
            depot.server.answers["GET", "/layers/7"] = problem(404, "not_found")
            await until(lambda: not depot.files)

    run(test())


def test_a_layer_longer_than_announced_stops_being_read(tmp_path: Path) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.publish(7, (7, BASE), size=5000)
        with running(depot.snapshots.run()):
            await asyncio.sleep(60)
        assert not depot.lane.snapshots
        assert sum(path.stat().st_size for path in depot.files) <= 5000

    run(test())


def test_a_disk_without_space_is_not_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        depot.publish(7, (7, BASE))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 4096))
        with running(depot.snapshots.run()):
            await asyncio.sleep(60)
        assert not depot.ranges
        assert not depot.lane.snapshots

    run(test())


@pytest.mark.parametrize("lender", ["..", ".", "a/../../b", "\x00", "店"])
def test_no_lender_id_leads_out_of_the_spool(lender: str, tmp_path: Path) -> None:
    from agent.uplink.client import LayerRef

    place = Spool(tmp_path, free_min_bytes=0).place(lender, LayerRef(7, 1, bytes(32), "/"))
    assert place.resolve().is_relative_to(tmp_path / place.parent.name)
    assert place.parent.parent == tmp_path


def test_no_snapshot_yet_is_no_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        depot = Depot(tmp_path)
        with running(depot.snapshots.run()):
            await asyncio.sleep(31)
        assert len(depot.server.seen) == 3

    run(test())
    assert not caplog.records
    assert MANIFEST.lender == LENDER
