"""The credit snapshots of a lane as files: for each lender a folder of layers, and one small file that lists its stack.

The one rule: a layer is never changed, and the list, replaced as a whole, is what makes a layer count. So a power cut
at any step leaves the stack before or the stack after, and what is being read is never touched.

    <lender>/incoming/   what is arriving: same file system, so that installing is a rename
    <lender>/layers/     7-1f2e3d4c5b6a7988.layer, 8-….layer: sequence and the start of the digest
    <lender>/stack       CBOR: [[sequence, digest of the layer], …], newest first
"""

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from agent.core import cbor
from agent.core.snapshot_check import check_layer
from agent.core.snapshot_layer import DIGEST_BYTES, Reason, SnapshotError
from agent.core.snapshot_manifest import NAME
from agent.core.snapshot_reader import Layer, Pread, Stack, Verify, open_layer


@dataclass(frozen=True, slots=True)
class LayerName:
    """Which layer a file is. The digest covers every byte of it."""

    lender: str
    sequence: int
    digest: bytes

    @property
    def file_name(self) -> str:
        return f"{self.sequence}-{self.digest[:8].hex()}.layer"


class SnapshotFiles:
    """All snapshots below one directory. One process installs; any process may check a file or read a stack."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def incoming(self, lender: str) -> Path:
        """The folder to download or copy a lender's files into. Raises SnapshotError("unwritable")."""
        return self._folder(lender, "incoming")

    def check(self, path: Path, verify: Verify, sequence_floor: int) -> LayerName:
        """Read the whole file, bring it to the disk and return the name under which it may be installed.

        Slow on purpose and apart from `install`, to run in another process. `sequence_floor` is the highest sequence
        ever seen of this lender. Raises SnapshotError: any reason that opening or reading has, sequence_backwards.
        """
        layer = _open_file(path, verify)
        manifest = layer.manifest
        if manifest.sequence < sequence_floor:
            raise SnapshotError("sequence_backwards", f"snapshot {manifest.sequence} is older than {sequence_floor}")
        check_layer(layer)
        with _disk_errors_as("unwritable"):
            _fsync(path)
        return LayerName(manifest.lender, manifest.sequence, layer.digest)

    def install(self, path: Path, checked: LayerName, verify: Verify) -> Stack:
        """Put a checked file on top of the stack (a delta) or in place of it (a base); returns the new stack, open.

        Takes milliseconds: it opens the layers and renames. May be repeated, without the file too; a sound copy of an
        installed layer takes the place of one that the disk has damaged. Raises SnapshotError: not_as_checked,
        sequence_backwards, stack_broken, unwritable, and what opening has.
        """
        listed = self._listed_if_readable(checked.lender)
        if checked in listed and not path.exists():
            self._finish(listed)  # a cut may have come before the end
            return self._open(listed, verify)
        layer = _open_file(path, verify)
        if layer.digest != checked.digest:
            raise SnapshotError("not_as_checked", f"{path.name} is not the file that was checked")
        names = _stack_with(checked, layer.manifest.below is None, listed)
        stack = Stack([layer if name == checked else self._open_layer(name, verify) for name in names])
        self._make_durable(path, checked, names)
        return stack

    def install_ready(self, lender: str, path: str, sequence: int, verify: Verify) -> Stack:
        """Install a file that another process of this lane has checked page by page; its signature is checked here.

        Raises SnapshotError: what `install` has, not_as_checked when it is another lender's or sequence's.
        """
        layer = _open_file(Path(path), verify)
        if (layer.manifest.lender, layer.manifest.sequence) != (lender, sequence):
            raise SnapshotError("not_as_checked", f"{Path(path).name} is not layer {sequence} of {lender}")
        return self.install(Path(path), LayerName(lender, sequence, layer.digest), verify)

    def layer_path(self, lender: str, sequence: int) -> str | None:
        """The file of an installed layer, for sending it on. None: there is no such layer, or no list to be read."""
        names = (name for name in self._listed_if_readable(lender) if name.sequence == sequence)
        return next((str(self._layer_file(name)) for name in names), None)

    def open_stack(self, lender: str, verify: Verify, sequence_floor: int = 0) -> Stack | None:
        """The installed stack; None if there is none. Reads no page, so it takes milliseconds whatever the size.

        Raises SnapshotError: any reason that opening has, stack_unreadable, stack_broken, sequence_backwards.
        """
        listed = self._listed(lender)
        if not listed:
            return None
        stack = self._open(listed, verify)
        if stack.newest.sequence < sequence_floor:
            raise SnapshotError("sequence_backwards", f"snapshot {sequence_floor} has been installed here before")
        return stack

    def _listed(self, lender: str) -> tuple[LayerName, ...]:
        """The layers that count, newest first. Raises SnapshotError("stack_unreadable")."""
        try:
            listed = cbor.decode(self._stack_file(lender).read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, cbor.CborError) as error:
            raise SnapshotError(
                "stack_unreadable", f"the list of layers of {lender} cannot be read: {error}"
            ) from error
        return tuple(_layer_name(lender, item) for item in listed) if isinstance(listed, list) else _refuse_list(lender)

    def _listed_if_readable(self, lender: str) -> tuple[LayerName, ...]:
        # A damaged list must not lock out the new base that mends it; a delta is refused, having nothing to lie upon.
        try:
            return self._listed(lender)
        except SnapshotError:
            return ()

    def _open(self, listed: tuple[LayerName, ...], verify: Verify) -> Stack:
        return Stack([self._open_layer(name, verify) for name in listed])

    def _open_layer(self, name: LayerName, verify: Verify) -> Layer:
        layer = _open_file(self._layer_file(name), verify)
        if layer.digest != name.digest:
            raise SnapshotError("stack_unreadable", f"{name.file_name} is not the layer that was installed")
        return layer

    def _make_durable(self, path: Path, checked: LayerName, stack: tuple[LayerName, ...]) -> None:
        """Content, then name, then list, each on the disk before the next counts on it; what is obsolete goes last."""
        layers = self._folder(checked.lender, "layers")
        with _disk_errors_as("unwritable"):
            _fsync(path)
            path.replace(self._layer_file(checked))
            _fsync(layers)
        self._finish(stack)

    def _finish(self, stack: tuple[LayerName, ...]) -> None:
        lender = stack[0].lender
        listed = {name.file_name for name in stack}
        with _disk_errors_as("unwritable"):
            self._replace_list(lender, stack)
            for file in self._folder(lender, "layers").iterdir():
                if file.name not in listed:
                    file.unlink()

    def _replace_list(self, lender: str, stack: tuple[LayerName, ...]) -> None:
        file = self._stack_file(lender)
        draft = file.with_suffix(".new")
        draft.write_bytes(cbor.encode([[name.sequence, name.digest] for name in stack]))
        _fsync(draft)
        draft.replace(file)
        _fsync(file.parent)

    def _stack_file(self, lender: str) -> Path:
        return self._directory / _safe(lender) / "stack"

    def _layer_file(self, name: LayerName) -> Path:
        return self._directory / _safe(name.lender) / "layers" / name.file_name

    def _folder(self, lender: str, name: str) -> Path:
        """A folder of a lender, made if need be so that a power cut does not take it, and what it holds, away."""
        folder = self._directory / _safe(lender) / name
        with _disk_errors_as("unwritable"):
            if not folder.is_dir():
                folder.mkdir(parents=True)
                for parent in (folder.parent, self._directory, self._directory.parent):
                    _fsync(parent)
        return folder


def _safe(lender: str) -> str:
    """A lender id as a folder name: the ids that manifests allow hold no separator and are never '.' or '..'."""
    assert NAME.fullmatch(lender), lender
    return lender


def _stack_with(checked: LayerName, is_base: bool, listed: tuple[LayerName, ...]) -> tuple[LayerName, ...]:
    if checked in listed:
        return listed
    if listed and checked.sequence <= listed[0].sequence:
        raise SnapshotError("sequence_backwards", f"snapshot {listed[0].sequence} is installed already")
    return (checked,) if is_base else (checked, *listed)


def _layer_name(lender: str, item: cbor.Value) -> LayerName:
    match item:
        case [int(sequence), bytes(digest)] if len(digest) == DIGEST_BYTES:
            return LayerName(lender, sequence, digest)
    return _refuse_list(lender)


def _refuse_list(lender: str) -> NoReturn:
    raise SnapshotError("stack_unreadable", f"the list of layers of {lender} is not one")


def _open_file(path: Path, verify: Verify) -> Layer:
    """Open a layer whose file stays open, and readable even when it is unlinked, as long as the layer is in use."""
    with _disk_errors_as("unreadable"):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        source = Pread(partial(os.pread, descriptor), os.fstat(descriptor).st_size)
        weakref.finalize(source, os.close, descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)  # a lookup wants its one page, no read-ahead
    return open_layer(source, verify)


def _fsync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_errors_as(reason: Reason) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SnapshotError(reason, f"{error.strerror}: {error.filename or 'disk'}") from error
