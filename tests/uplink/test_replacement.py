"""A computer becomes a lane anew: nothing of the old one is lost, and no crash mixes the two."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import CounterfoilError, NotEnrolled, UplinkRefused
from agent.machine import as_owner_of
from agent.uplink.enrollment import AlreadyEnrolled, NotPermitted, WrongBackend
from agent.uplink.identity import load_identity, load_journal_key
from agent.uplink.replacement import LanePlace, enroll_anew
from backend.identity import code_text
from tests.uplink.test_enrollment import AUTHORITY, CODE, Registry, attempt
from tests.uplink.world import b64, problem, run_real

OTHER_CODE = code_text(bytes(16), AUTHORITY.fingerprint)
STAMP = "20270115T080000Z"
NOBODY = 65534
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Replacing(Registry):
    """A backend that lets a lane be replaced: the next epoch, and how the one before it ended."""

    def _answer(self, body: dict[str, str]) -> dict[str, object]:
        previous = {"epoch": 1, "number": 17, "hash": b64(b"h" * 32)}
        return {**super()._answer(body), "epoch": 2, "reason": "replaced", "previous": previous}


@pytest.fixture
def place(tmp_path: Path) -> LanePlace:
    """A lane that has sold."""
    place = LanePlace(tmp_path, tmp_path / "identity")
    attempt(Registry(), place.identity_dir)
    (tmp_path / "ledger.db").write_bytes(b"sales")
    (tmp_path / "ledger.db-wal").write_bytes(b"newest sales")
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "agent.toml").write_text("not of the lane")
    return place


def replace(place: LanePlace, registry: Registry, code: str = OTHER_CODE, stamp: str = STAMP) -> Path | None:
    anew = enroll_anew("https://backend.test", code, place, stamp=stamp, make_http=registry.http)
    return run_real(anew)[1]


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_the_old_lane_is_kept_whole_and_the_new_one_begins_with_a_journal_of_its_own(place: LanePlace) -> None:
    old_key = load_journal_key(place.identity_dir).public
    kept = replace(place, Replacing())
    assert kept == place.state_dir / f"replaced-{STAMP}"
    assert names(kept) == {"identity", "ledger.db", "ledger.db-wal", "snapshots"}
    assert (kept / "ledger.db").read_bytes() == b"sales"
    assert load_journal_key(kept / "identity").public == old_key
    assert names(place.state_dir) == {"identity", kept.name, "agent.toml"}
    enrolled = load_identity(place.identity_dir)
    assert (enrolled.epoch, enrolled.reason) == (2, "replaced")
    assert enrolled.previous is not None
    assert (enrolled.previous.epoch, enrolled.previous.number, enrolled.previous.hash) == (1, 17, b"h" * 32)
    assert load_journal_key(place.identity_dir).public != old_key


def test_without_being_told_to_replace_it_an_enrolled_lane_stays(place: LanePlace) -> None:
    with pytest.raises(AlreadyEnrolled) as refused:
        attempt(Replacing(), place.identity_dir, OTHER_CODE)
    assert "--replace" in refused.value.hint
    assert load_identity(place.identity_dir).epoch == 1


def test_a_code_that_is_refused_leaves_the_old_lane_as_it_was(place: LanePlace) -> None:
    registry = Replacing()
    registry.lose = [problem(403, "code_refused")]
    with pytest.raises(UplinkRefused):
        replace(place, registry)
    with pytest.raises(WrongBackend):
        replace(place, registry, code_text(bytes(16), b"x" * 32))
    assert load_identity(place.identity_dir).epoch == 1
    assert (place.state_dir / "ledger.db").read_bytes() == b"sales"
    assert not list(place.state_dir.glob("replaced*"))


def test_a_crash_at_any_step_never_mixes_two_lanes_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, cuts = Path.rename, 0
    for step in range(8):
        place = LanePlace(tmp_path / str(step), tmp_path / str(step) / "identity")
        registry, left = Replacing(), step
        attempt(Registry(), place.identity_dir)
        (place.state_dir / "ledger.db").write_bytes(b"sales")
        (place.state_dir / "snapshots").mkdir()

        def cut(path: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(5, "power cut", str(path))
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", cut)
        try:
            replace(place, registry)
        except (CounterfoilError, OSError):
            cuts += 1
        monkeypatch.setattr(Path, "rename", rename)
        if (place.identity_dir / "identity.json").exists():
            has_ledger = (place.state_dir / "ledger.db").exists()
            assert has_ledger == (load_identity(place.identity_dir).epoch == 1)
        replace(place, registry)
        assert load_identity(place.identity_dir).epoch == 2
        (kept,) = place.state_dir.glob("replaced-*")
        assert names(kept) == {"identity", "ledger.db", "snapshots"}
        assert names(place.state_dir) == {"identity", kept.name}
        assert len(registry.answers) == 1
    assert cuts == 5  # identity, ledger, snapshots, the new identity, the folder's name


def test_the_same_command_again_changes_nothing(place: LanePlace) -> None:
    registry = Replacing()
    kept = replace(place, registry)
    assert replace(place, registry, stamp="20270116T080000Z") is None
    assert kept is not None and names(kept) == {"identity", "ledger.db", "ledger.db-wal", "snapshots"}
    assert load_identity(place.identity_dir).epoch == 2


def test_a_damaged_identity_can_be_replaced(place: LanePlace) -> None:
    (place.identity_dir / "identity.json").write_bytes(b"{")
    with pytest.raises(NotEnrolled):
        attempt(Replacing(), place.identity_dir, OTHER_CODE)
    assert replace(place, Replacing()) is not None
    assert load_identity(place.identity_dir).epoch == 2


def test_a_computer_that_was_no_lane_has_nothing_to_keep(tmp_path: Path) -> None:
    assert replace(LanePlace(tmp_path, tmp_path / "identity"), Replacing()) is None
    assert names(tmp_path) == {"identity"}


# -- who owns what ---------------------------------------------------------------------------------------------


@pytest.fixture
def served_dir() -> Iterator[Path]:
    """A state directory of the service's user, as the package makes it, in a place that everybody may pass."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        state = Path(directory) / "state"
        state.mkdir(mode=0o700)
        os.chown(state, NOBODY, NOBODY)
        yield state


@is_root
def test_what_root_enrolls_belongs_to_the_owner_of_the_state_directory(served_dir: Path) -> None:
    with as_owner_of(served_dir):
        attempt(Registry(), served_dir / "identity", CODE)
    assert os.geteuid() == os.getegid() == 0
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in served_dir.rglob("*")}
    assert owners == {(NOBODY, NOBODY)}
    with as_owner_of(served_dir):
        assert load_identity(served_dir / "identity").lane == "lane-1"
        load_journal_key(served_dir / "identity")


@is_root
def test_somebody_else_is_told_to_run_it_as_root(served_dir: Path) -> None:
    os.seteuid(12345)
    try:
        with pytest.raises(NotPermitted) as refused:
            attempt(Registry(), served_dir / "identity", CODE)
    finally:
        os.seteuid(0)
    assert "sudo counterfoil enroll" in refused.value.hint


def test_a_directory_of_ones_own_is_made_and_used_as_it_is(tmp_path: Path) -> None:
    with as_owner_of(tmp_path / "state" / "lane"):
        assert os.geteuid() == tmp_path.stat().st_uid
    assert (tmp_path / "state" / "lane").stat().st_mode & 0o777 == 0o700
