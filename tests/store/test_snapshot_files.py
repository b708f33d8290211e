"""Whatever happens while a snapshot is installed, the lane has the stack before or the stack after, and can read it."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from unittest import mock

import pytest

from agent.core.snapshot_check import check_layer
from agent.core.snapshot_layer import PAGE_BYTES, Record, SnapshotError
from agent.core.snapshot_manifest import Manifest
from agent.core.snapshot_reader import DELTAS_MAX, Stack
from agent.store import snapshot_files
from agent.store.snapshot_files import LayerName, SnapshotFiles
from tests.core.layers import BUILT_AT, LENDER, MANIFEST, UNIT_S, VERIFY, built, delta_upon, sorted_by_token

ACCOUNTS = [sha256(bytes([number])).digest()[:16] for number in range(5)]


def layer(manifest: Manifest, allowance_minor: int) -> bytes:
    return built(sorted_by_token(Record(token, allowance_minor, BUILT_AT + UNIT_S) for token in ACCOUNTS), manifest)


def chain(count: int) -> list[bytes]:
    """A base and its deltas; layer i gives every account i minor units."""
    manifest, layers = MANIFEST, [layer(MANIFEST, 0)]
    for allowance_minor in range(1, count):
        manifest = delta_upon(layers[-1], manifest)
        layers.append(layer(manifest, allowance_minor))
    return layers


BASE, DELTA, DELTA_2, DELTA_3 = chain(4)
NEW_BASE = layer(replace(MANIFEST, sequence=20, base_sequence=20), 20)


def arrive(files: SnapshotFiles, data: bytes, name: str = "arriving") -> Path:
    path = files.incoming(LENDER) / name
    path.write_bytes(data)
    return path


def bring(files: SnapshotFiles, *layers: bytes, floor: int = 0) -> Stack:
    for data in layers:
        path = arrive(files, data)
        stack = files.install(path, files.check(path, VERIFY, floor), VERIFY)
    return stack


def reason_of(action: Callable[[], object]) -> str | None:
    try:
        action()
    except SnapshotError as error:
        return error.reason
    return None


def allowance_of(stack: Stack | None) -> int | None:
    """What the stack says of every account, after reading every page of every layer; None: no stack."""
    if stack is None:
        return None
    for some in stack.layers:
        check_layer(some)
    (allowance_minor,) = {stack.lookup(token).record.allowance_minor for token in ACCOUNTS}
    return allowance_minor


@pytest.fixture
def files(tmp_path: Path) -> SnapshotFiles:
    return SnapshotFiles(tmp_path)


def layer_files(files: SnapshotFiles) -> list[str]:
    return sorted(path.name for path in (files.incoming(LENDER).parent / "layers").iterdir())


def test_without_a_snapshot_there_is_no_stack(files: SnapshotFiles) -> None:
    assert files.open_stack(LENDER, VERIFY) is None


def test_a_base_and_its_deltas_are_one_stack_now_and_after_a_restart(files: SnapshotFiles) -> None:
    assert allowance_of(bring(files, BASE, DELTA, DELTA_2)) == 2
    assert allowance_of(files.open_stack(LENDER, VERIFY)) == 2
    assert len(layer_files(files)) == 3
    assert not list(files.incoming(LENDER).iterdir())


def test_a_new_base_takes_the_place_of_the_stack_while_the_old_one_is_still_read(files: SnapshotFiles) -> None:
    old = bring(files, BASE, DELTA)
    assert allowance_of(bring(files, NEW_BASE)) == 20
    assert len(layer_files(files)) == 1
    assert allowance_of(old) == 1


def test_up_to_eight_deltas_lie_upon_a_base(files: SnapshotFiles) -> None:
    layers = chain(DELTAS_MAX + 2)
    assert allowance_of(bring(files, *layers[:-1])) == DELTAS_MAX
    assert reason_of(lambda: bring(files, layers[-1])) == "stack_broken"
    assert allowance_of(files.open_stack(LENDER, VERIFY)) == DELTAS_MAX


def test_lenders_do_not_touch_each_other(files: SnapshotFiles) -> None:
    bring(files, BASE)
    assert files.open_stack("otherlend", VERIFY) is None


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("installed", "arriving", "floor", "reason"),
    [
        ([], damaged(BASE, 0), 0, "header_malformed"),
        ([], damaged(BASE, PAGE_BYTES + 20), 0, "page_wrong_digest"),
        ([], damaged(BASE, len(BASE) - 1), 0, "manifest_untrusted"),
        ([], BASE[:-1], 0, "manifest_untrusted"),
        ([], b"", 0, "header_malformed"),
        ([], BASE, 8, "sequence_backwards"),
        ([], DELTA, 0, "stack_broken"),
        ([BASE], DELTA_2, 0, "stack_broken"),
        ([NEW_BASE], DELTA, 0, "sequence_backwards"),
        ([NEW_BASE], BASE, 0, "sequence_backwards"),
        ([BASE], layer(delta_upon(DELTA, MANIFEST), 1), 0, "stack_broken"),
    ],
)
def test_a_layer_that_does_not_fit_is_refused_and_changes_nothing(
    files: SnapshotFiles, installed: list[bytes], arriving: bytes, floor: int, reason: str
) -> None:
    before = allowance_of(bring(files, *installed)) if installed else None
    assert reason_of(lambda: bring(files, arriving, floor=floor)) == reason
    assert allowance_of(files.open_stack(LENDER, VERIFY)) == before


def test_only_the_file_that_was_checked_is_installed(files: SnapshotFiles) -> None:
    checked = files.check(arrive(files, BASE), VERIFY, 0)
    path = arrive(files, layer(MANIFEST, 999_999))
    assert reason_of(lambda: files.install(path, checked, VERIFY)) == "not_as_checked"


def test_installing_again_changes_nothing(files: SnapshotFiles) -> None:
    bring(files, BASE, DELTA)
    assert allowance_of(bring(files, DELTA)) == 1
    gone = files.incoming(LENDER) / "gone"
    name = LayerName(LENDER, 8, files.open_stack(LENDER, VERIFY).layers[0].digest)
    assert allowance_of(files.install(gone, name, VERIFY)) == 1


@pytest.mark.parametrize("at", [0, PAGE_BYTES + 20, len(BASE) - 1])
def test_a_fresh_copy_mends_a_layer_that_the_disk_has_damaged(files: SnapshotFiles, at: int) -> None:
    bring(files, BASE, DELTA)
    (path,) = (files.incoming(LENDER).parent / "layers").glob("7-*")
    path.write_bytes(damaged(BASE, at))
    assert reason_of(lambda: allowance_of(files.open_stack(LENDER, VERIFY))) is not None
    assert allowance_of(bring(files, BASE)) == 1
    assert allowance_of(files.open_stack(LENDER, VERIFY)) == 1


def test_an_older_stack_put_back_is_noticed(files: SnapshotFiles) -> None:
    bring(files, BASE, DELTA)
    assert files.open_stack(LENDER, VERIFY, sequence_floor=8) is not None
    assert reason_of(lambda: files.open_stack(LENDER, VERIFY, sequence_floor=9)) == "sequence_backwards"


@pytest.mark.parametrize("content", [b"", b"\xff", b"\x01", b"\x81\x01", b"\x81\x82\x07\x41\x00", b"\x81\x82\x07"])
def test_a_damaged_list_is_an_error_that_the_next_base_mends(files: SnapshotFiles, content: bytes) -> None:
    bring(files, BASE, DELTA)
    (files.incoming(LENDER).parent / "stack").write_bytes(content)
    assert reason_of(lambda: files.open_stack(LENDER, VERIFY)) == "stack_unreadable"
    assert reason_of(lambda: bring(files, DELTA_2)) == "stack_broken"
    assert allowance_of(bring(files, NEW_BASE)) == 20
    assert len(layer_files(files)) == 1


def test_a_missing_or_exchanged_layer_is_an_error_and_never_an_older_answer(files: SnapshotFiles) -> None:
    bring(files, BASE, DELTA)
    layers = files.incoming(LENDER).parent / "layers"
    lower, upper = sorted(layers.iterdir())
    upper.write_bytes(NEW_BASE)
    assert reason_of(lambda: files.open_stack(LENDER, VERIFY)) == "stack_unreadable"
    upper.unlink()
    assert reason_of(lambda: files.open_stack(LENDER, VERIFY)) == "unreadable"
    assert lower.exists()


def test_a_file_that_shrinks_under_an_open_stack_is_an_error_not_the_end_of_the_process(files: SnapshotFiles) -> None:
    stack = bring(files, BASE)
    (path,) = (files.incoming(LENDER).parent / "layers").iterdir()
    os.truncate(path, 100)
    assert reason_of(lambda: stack.lookup(ACCOUNTS[0])) == "page_wrong_digest"


@pytest.mark.parametrize("call", ["fsync", "replace", "unlink", "open"])
def test_a_disk_that_refuses_is_the_one_typed_error(
    files: SnapshotFiles, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    bring(files, BASE)
    path = arrive(files, NEW_BASE)
    checked = files.check(path, VERIFY, 0)

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    assert reason_of(lambda: files.install(path, checked, VERIFY)) in {"unwritable", "unreadable"}
    monkeypatch.undo()
    assert allowance_of(files.open_stack(LENDER, VERIFY)) in {0, 20}


def test_files_are_closed_when_their_stack_is_gone(files: SnapshotFiles) -> None:
    descriptors = Path("/proc/self/fd")
    stack = bring(files, BASE, DELTA, DELTA_2)
    held = len(list(descriptors.iterdir()))
    del stack
    assert len(list(descriptors.iterdir())) == held - 3


# --- power cuts ------------------------------------------------------------------------------------------------------
# After a cut, a folder holds its names as they are or as they were at its last fsync, each folder for itself; a file
# holds its content as it was at its last fsync, or nothing. Every step of an installation is cut, in every combination.


class PowerCut(BaseException):
    """Not an Exception, so that no handler survives it."""


class CuttableDisk:
    """The real calls, cut before the call number `cut_at`, with a record of what an fsync has made durable."""

    def __init__(self, root: Path, cut_at: int = 10**9) -> None:
        self.root = root
        self.steps_left = cut_at
        self.contents: dict[int, bytes] = {}
        self.names: dict[Path, dict[str, Path | int]] = {}
        self._held: list[int] = []  # open, so that no inode number is given out twice
        for path in [root, *root.rglob("*")]:
            self._note(path)

    def _note(self, path: Path) -> None:
        if path.is_dir():
            entries = path.iterdir()
            self.names[path] = {entry.name: entry if entry.is_dir() else self._inode(entry) for entry in entries}
        else:
            self.contents[self._inode(path)] = path.read_bytes()

    def _inode(self, path: Path) -> int:
        self._held.append(os.open(path, os.O_RDONLY))
        return path.stat().st_ino

    @contextmanager
    def calls(self) -> Iterator[None]:
        def cuttable(call: Callable[..., object]) -> Callable[..., object]:
            def step(*args: object, **options: object) -> object:
                if not self.steps_left:
                    raise PowerCut
                self.steps_left -= 1
                if call is real_fsync:
                    self._note(Path(f"/proc/self/fd/{args[0]}").readlink())
                if call in {real_replace, real_unlink}:
                    self._inode(Path(args[0]))
                return call(*args, **options)

            return step

        real_fsync, real_replace, real_unlink = os.fsync, os.replace, os.unlink
        with (
            mock.patch("os.fsync", cuttable(os.fsync)),
            mock.patch("os.replace", cuttable(os.replace)),
            mock.patch("os.unlink", cuttable(os.unlink)),
            mock.patch("os.mkdir", cuttable(os.mkdir)),
            mock.patch("pathlib.Path.write_bytes", cuttable(lambda path, data: path.open("wb").write(data))),
        ):
            yield

    def survivors(self, scratch: Path) -> Iterator[Path]:
        """A copy of the root for each way in which the cut may have left it."""
        folders = [path for path in [self.root, *self.root.rglob("*")] if path.is_dir()]
        for number, lost in enumerate(itertools.product((False, True), repeat=len(folders))):
            copy = scratch / str(number)
            self._restore(self.root, copy, {folder for folder, is_lost in zip(folders, lost, strict=True) if is_lost})
            yield copy
            shutil.rmtree(copy)

    def _restore(self, folder: Path, copy: Path, lost: set[Path]) -> None:
        copy.mkdir(parents=True)
        if folder not in lost:
            now = CuttableDisk.__new__(CuttableDisk)
            now.names, now.contents, now._held = {}, {}, self._held
            now._note(folder)
            entries = now.names[folder]
        else:
            entries = self.names.get(folder, {})
        for name, entry in entries.items():
            if isinstance(entry, Path):
                self._restore(entry, copy / name, lost)
            else:
                (copy / name).write_bytes(self.contents.get(entry, b""))

    def close(self) -> None:
        for descriptor in self._held:
            os.close(descriptor)


def losses_of_power_cuts(tmp_path: Path, installed: list[bytes], arriving: bytes, after: int) -> tuple[int, list[str]]:
    """Cut every step of an installation; returns the number of states tried, and what is wrong with which."""
    before = len(installed) - 1 if installed else None
    tried, losses = 0, []
    for cut_at in itertools.count():
        root = tmp_path / f"root-{cut_at}"
        root.mkdir()
        bring(SnapshotFiles(root), *installed) if installed else None
        disk = CuttableDisk(root, cut_at)
        is_cut = False
        with disk.calls():
            try:
                bring(SnapshotFiles(root), arriving)
            except PowerCut:
                is_cut = True
        for survivor in disk.survivors(tmp_path / "survivors"):
            tried += 1
            files = SnapshotFiles(survivor)
            try:
                found = allowance_of(files.open_stack(LENDER, VERIFY))
                again = allowance_of(bring(files, arriving))
            except SnapshotError as error:
                losses.append(f"cut at {cut_at}: {error.reason}")
                continue
            if found != after and not (is_cut and found == before):
                losses.append(f"cut at {cut_at}: {found}")
            if again != after or len(layer_files(files)) != len(files.open_stack(LENDER, VERIFY).layers):
                losses.append(f"cut at {cut_at}: not mended by installing again")
        disk.close()
        shutil.rmtree(root)
        if not is_cut:
            return tried, losses
    raise AssertionError


@pytest.mark.parametrize(
    ("installed", "arriving", "after"),
    [([], BASE, 0), ([BASE], DELTA, 1), ([BASE, DELTA], DELTA_2, 2), ([BASE, DELTA], NEW_BASE, 20)],
    ids=["first base", "first delta", "second delta", "base in place of a stack"],
)
def test_a_power_cut_at_any_step_leaves_the_old_stack_or_the_new_one(
    tmp_path: Path, installed: list[bytes], arriving: bytes, after: int
) -> None:
    tried, losses = losses_of_power_cuts(tmp_path, installed, arriving, after)
    assert tried > 50
    assert losses == []


def fsync_only(is_wanted: Callable[[Path], bool]) -> Callable[[Path], None]:
    return lambda path: REAL_FSYNC(path) if is_wanted(path) else None


def unlink_first(files: SnapshotFiles, path: Path, checked: LayerName, stack: tuple[LayerName, ...]) -> None:
    for old in (files.incoming(LENDER).parent / "layers").glob("*"):
        old.unlink()
    REAL_MAKE_DURABLE(files, path, checked, stack)


REAL_FSYNC = snapshot_files._fsync
REAL_MAKE_DURABLE = SnapshotFiles._make_durable


@pytest.mark.parametrize(
    ("where", "name", "bug"),
    [
        (snapshot_files, "_fsync", lambda path: None),
        (snapshot_files, "_fsync", fsync_only(Path.is_dir)),
        (snapshot_files, "_fsync", fsync_only(Path.is_file)),
        (SnapshotFiles, "_make_durable", unlink_first),
    ],
    ids=["nothing is synced", "content is not synced", "names are not synced", "old layers go first"],
)
def test_the_power_cuts_find_a_planted_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: object, name: str, bug: Callable[..., None]
) -> None:
    monkeypatch.setattr(where, name, bug)
    assert losses_of_power_cuts(tmp_path, [BASE, DELTA], NEW_BASE, 20)[1]
