"""The disk model keeps exactly what it says: nothing more, nothing less."""

from random import Random

import apsw
import pytest

from agent.simulation.disk import SECTOR_BYTES, Disk, Survivors


def fresh() -> Disk:
    disk = Disk({"/a": b"old" * SECTOR_BYTES})
    disk.write("/a", b"new" * SECTOR_BYTES, 0)
    return disk


def test_a_write_without_sync_is_lost_or_kept_as_the_survivors_say() -> None:
    disk, random = fresh(), Random(0)
    assert disk.after_power_cut(Survivors.NONE, random)["/a"] == b"old" * SECTOR_BYTES
    assert disk.after_power_cut(Survivors.ALL, random)["/a"] == b"new" * SECTOR_BYTES
    torn = {disk.after_power_cut(Survivors.RANDOM, random)["/a"] for _ in range(50)}
    assert len(torn) > 2, "some sectors are old and some new"


def test_a_synced_write_survives_everything() -> None:
    disk = fresh()
    disk.sync("/a")
    assert {disk.after_power_cut(how, Random(1))["/a"] for how in Survivors} == {b"new" * SECTOR_BYTES}


@pytest.mark.parametrize("survivors", [Survivors.NONE, Survivors.ALL])
def test_a_name_is_durable_only_after_a_sync_of_the_directory(survivors: Survivors) -> None:
    disk = Disk()
    disk.create("/a")
    disk.sync("/a")
    assert ("/a" in disk.after_power_cut(survivors, Random(2))) == (survivors is Survivors.ALL)
    disk.sync_names()
    assert "/a" in disk.after_power_cut(survivors, Random(2))
    disk.unlink("/a", sync_names=False)
    assert ("/a" in disk.after_power_cut(survivors, Random(2))) == (survivors is Survivors.NONE)


def test_a_failed_sync_forgets_what_the_reader_still_sees() -> None:
    disk = fresh()

    def broken(what: str) -> None:
        if what == "sync":
            raise apsw.IOError("input/output error")

    disk.before = broken
    with pytest.raises(apsw.IOError):
        disk.sync("/a")
    disk.before = lambda _what: None
    disk.sync("/a")
    assert disk.read("/a", 3, 0) == b"new"
    assert disk.after_power_cut(Survivors.ALL, Random(3))["/a"][:3] == b"new"
    assert disk.after_power_cut(Survivors.NONE, Random(3))["/a"][:3] == b"old"


def test_a_killed_process_leaves_what_it_wrote() -> None:
    assert fresh().after_kill()["/a"] == b"new" * SECTOR_BYTES
