"""The spool directory: layers of the snapshot on their way in.

The one rule: what lies here is worth nothing until its length, its hash, its signature and every page have been
checked. A broken download is resumed where it ended; what no manifest names any more is deleted.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable
from contextlib import aclosing
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from agent.core import cbor, cose, trust
from agent.core.snapshot_check import check_layer
from agent.core.snapshot_layer import SnapshotError
from agent.core.snapshot_reader import Pread, open_layer, trusting
from agent.errors import UplinkError
from agent.uplink.client import BackendClient, LayerRef
from agent.uplink.faults import NoAnswer, Refused
from agent.uplink.lane_side import LenderState

_HASH_BLOCK_BYTES: Final = 1 << 20


class SpoolFault(UplinkError):
    """The spool directory cannot take a layer."""

    code = "spool"
    hint = "Free space on the disk of the state directory; the lane goes on with the snapshot that it has."


class Verdict(StrEnum):
    """What to do about a layer that is refused."""

    LATER = "later"  # keep the file: the lane may learn the key that signed it
    AGAIN = "again"  # the file is damaged: fetch it again
    NEVER = "never"  # it is as announced and still wrong: wait for another one


class LayerRefused(UplinkError):
    """A layer is not what it should be."""

    code = "snapshot_layer_refused"
    hint = "Build a new snapshot at the backend; the lane goes on with the one that it has."

    def __init__(self, message: str, verdict: Verdict) -> None:
        super().__init__(message)
        self.verdict = verdict


_VERDICTS: Final = {"manifest_untrusted": Verdict.LATER, "unreadable": Verdict.AGAIN}


class Spool:
    """Layers by lender, sequence and hash. `free_min_bytes` stay free on the disk: the ledger needs them."""

    def __init__(self, directory: Path, *, free_min_bytes: int) -> None:
        self._directory = directory
        self._free_min_bytes = free_min_bytes

    def place(self, lender: str, ref: LayerRef) -> Path:
        return self._of(lender) / f"{ref.sequence}-{ref.sha256.hex()}"

    async def fetch(self, client: BackendClient, lender: str, ref: LayerRef) -> None:
        """Download what is missing of a layer. Raises BackendFault (go on later from there) and SpoolFault."""
        path = self.place(lender, ref)
        try:
            with _opened(path) as file:
                have = file.seek(0, os.SEEK_END)
                self._check_space(ref.size - have)
                if have < ref.size:
                    await _download(client, ref, file, have)
        except Refused:
            self.discard(lender, ref)
            raise
        except OSError as error:
            raise SpoolFault(f"The spool cannot be written: {error.strerror or error}.") from error

    def discard(self, lender: str, ref: LayerRef) -> None:
        self.place(lender, ref).unlink(missing_ok=True)

    def sweep(self, lender: str, keep: Iterable[LayerRef]) -> None:
        """Delete whatever is not a layer of `keep`. Raises SpoolFault."""
        kept = {self.place(lender, ref) for ref in keep}
        try:
            for path in set(self._of(lender).glob("*")) - kept:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise SpoolFault(f"The spool cannot be swept: {error.strerror or error}.") from error

    def _of(self, lender: str) -> Path:
        # The prefix keeps "." and ".." from being directories of their own kind.
        return self._directory / f"lender-{quote(lender, safe='')}"

    def _check_space(self, wanted_bytes: int) -> None:
        free_bytes = shutil.disk_usage(self._directory).free
        if free_bytes - wanted_bytes < self._free_min_bytes:
            raise SpoolFault(f"A snapshot needs {wanted_bytes} bytes, and {free_bytes} are free.")


def _opened(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.open("ab")


async def _download(client: BackendClient, ref: LayerRef, file: BinaryIO, have: int) -> None:
    async with aclosing(client.layer(ref.url, have)) as pieces:
        async for at, piece in pieces:
            if at + len(piece) > ref.size:
                raise NoAnswer("A layer is longer than the backend announced.")
            if at != have:
                file.truncate(at)
            file.write(piece)
            have = at + len(piece)
    if have < ref.size:
        raise NoAnswer("A layer ended early.")


def check_file(path: Path, ref: LayerRef, state: LenderState) -> None:
    """Read the whole file: hash, signature by the lender's keys, every page. Blocking: about 30 us a page.

    Raises LayerRefused.
    """
    try:
        if _sha256(path) != ref.sha256:
            raise LayerRefused("The file is not the one that the backend announced.", Verdict.AGAIN)
        _check_pages(path, ref, state)
    except SnapshotError as error:
        raise LayerRefused(str(error), _VERDICTS.get(error.reason, Verdict.NEVER)) from error
    except (trust.TrustError, cose.CoseError, cbor.CborError) as error:
        raise LayerRefused(f"The lender's keys cannot be used: {error}", Verdict.LATER) from error
    except OSError as error:
        raise LayerRefused(f"The file cannot be read: {error.strerror or error}.", Verdict.LATER) from error


def _check_pages(path: Path, ref: LayerRef, state: LenderState) -> None:
    root = cose.PublicKey.from_cose_key(cbor.decode(state.root))
    keys = trust.verify_key_list(state.keys, root, version_min=0)
    with path.open("rb", buffering=0) as file:
        descriptor = file.fileno()
        source = Pread(lambda length, at: os.pread(descriptor, length, at), path.stat().st_size)
        layer = open_layer(source, trusting(keys, state.now_s))
        check_layer(layer)
    if layer.manifest.sequence != ref.sequence:
        raise LayerRefused("The layer has another sequence than the backend announced.", Verdict.NEVER)


def _sha256(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.digest()
