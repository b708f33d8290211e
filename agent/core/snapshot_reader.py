"""Looks accounts up in signed layers, one page a lookup, newest layer first.

The one rule: a page is checked each time it is read, and a layer that cannot answer is an error, never a reason to ask
an older one. Checked pages are not remembered: the hash costs 5 microseconds, and whoever trusts yesterday's check
misses the bit that the disk, or the memory of a machine without ECC, has flipped since. For the same reason the table
of digests is held as it was checked (32 bytes for each 170 accounts), and a page is copied before it is hashed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any, Protocol

from agent.core import trust
from agent.core.snapshot_layer import (
    DIGEST_BYTES,
    KEY_BYTES,
    PAGE_BYTES,
    TOKEN_BYTES,
    Header,
    Record,
    SnapshotError,
    find_key,
    is_beyond,
    page_of,
    unpack_header,
    unpack_page_header,
    unpack_value,
)
from agent.core.snapshot_manifest import SNAPSHOT_TYPE, Manifest

MANIFEST_BYTES_MAX = 65_536
DELTAS_MAX = 8  # upon a base; a miss reads a page of each layer

Verify = Callable[[bytes], Mapping[Any, object]]  # signed bytes -> payload; raises TrustError


class PageSource(Protocol):
    """The bytes of a layer: bytes, a memory map, or a Pread."""

    def __len__(self) -> int: ...

    def __getitem__(self, span: slice, /) -> bytes: ...


class Pread:
    """The bytes behind a function like os.pread(length, offset).

    For files on a disk, in place of a memory map: there a bad sector is SIGBUS, the end of the process; here it is
    SnapshotError("unreadable"), the end of one lookup.
    """

    def __init__(self, pread: Callable[[int, int], bytes], length: int) -> None:
        self._pread = pread
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, span: slice) -> bytes:
        try:
            return self._pread(span.stop - span.start, span.start)
        except OSError as error:
            raise SnapshotError("unreadable", f"the disk does not give the snapshot back: {error.strerror}") from error


def trusting(keys: trust.KeyList, at: int) -> Verify:
    """The check of a manifest's signature against the keys of its lender, at a time in seconds UTC."""

    def verify(data: bytes) -> Mapping[Any, object]:
        payload = trust.verify_document(data, keys, role=trust.Role.SNAPSHOT, typ=SNAPSHOT_TYPE, at=at)
        if payload.get("lender") != keys.lender:
            raise trust.TrustError("other_lender", f"The snapshot is not one of the lender {keys.lender}.")
        return payload

    return verify


class Layer:
    """One open layer. Made by open_layer only."""

    def __init__(self, source: PageSource, header: Header, manifest: Manifest, digest: bytes, digests: bytes) -> None:
        self.header = header
        self.manifest = manifest
        self.digest = digest  # SHA-256 of the signed manifest: the name by which a delta refers to this layer
        self._source = source
        self._digests = digests

    def page(self, index: int) -> bytes:
        """The 4096 bytes of a page, as signed. Raises SnapshotError: page_wrong_digest, unreadable."""
        page = self._source[index * PAGE_BYTES : (index + 1) * PAGE_BYTES]
        if sha256(page).digest() != self._digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES]:
            raise SnapshotError("page_wrong_digest", f"page {index} of layer {self.manifest.sequence} is damaged")
        return page

    def lookup(self, token: bytes) -> Record | None:
        """The record of a 16-byte token. Raises SnapshotError: page_wrong_digest, page_malformed, unreadable."""
        assert len(token) == TOKEN_BYTES
        key = token[:KEY_BYTES]
        index = page_of(key, self.header.page_count)
        while index:
            page = self.page(index)
            count, overflow = unpack_page_header(page, index, self.header.pages_end)
            position = find_key(page, count, key)
            if position is not None:
                return unpack_value(token, page, count, position, self.header)
            index = overflow if overflow and is_beyond(page, count, key) else 0
        return None


def open_layer(source: PageSource, verify: Verify) -> Layer:
    """Check header, sizes, manifest and the table of digests, none of the pages; `source` must not change its length.

    Raises SnapshotError: header_malformed, manifest_untrusted, manifest_malformed, digests_wrong, unreadable.
    """
    first = source[0:PAGE_BYTES]
    header = unpack_header(first)
    signed = source[header.manifest_at : len(source)] if _has_manifest(header, len(source)) else b""
    if not signed:
        raise SnapshotError("header_malformed", "the file is shorter or longer than its header says")
    manifest = _manifest(signed, verify)
    if (header.record_count, header.built_at, header.currency) != (
        manifest.records,
        manifest.built_at,
        manifest.currency,
    ):
        raise SnapshotError("manifest_malformed", "the manifest contradicts the header")
    digests = source[header.digests_at : header.manifest_at]
    if sha256(digests).digest() != manifest.digest or sha256(first).digest() != digests[:DIGEST_BYTES]:
        raise SnapshotError("digests_wrong", "the table of page digests is not the one that was signed")
    return Layer(source, header, manifest, sha256(signed).digest(), digests)


def _has_manifest(header: Header, length: int) -> bool:
    return 0 < length - header.manifest_at <= MANIFEST_BYTES_MAX


def _manifest(signed: bytes, verify: Verify) -> Manifest:
    try:
        payload = verify(signed)
    except trust.TrustError as error:
        raise SnapshotError("manifest_untrusted", f"the signature of the manifest is refused: {error}") from error
    return Manifest.decode(payload)


@dataclass(frozen=True, slots=True)
class Found:
    """A record with the manifest of the layer that supplied it: its age, epoch and `applied_through` count."""

    record: Record
    manifest: Manifest


class Stack:
    """A base layer and its deltas, newest first. Raises SnapshotError("stack_broken") when they do not fit."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        if not 0 < len(layers) <= 1 + DELTAS_MAX:
            raise SnapshotError("stack_broken", f"a stack has 1 to {1 + DELTAS_MAX} layers, not {len(layers)}")
        if layers[-1].manifest.below is not None:
            raise SnapshotError("stack_broken", "the lowest layer is not a base")
        for upper, lower in pairwise(layers):
            upper.manifest.follows(lower.manifest, lower.digest)
        self.layers = tuple(layers)

    @property
    def newest(self) -> Manifest:
        """The manifest of the top layer: the sequence, age and policy of the snapshot as a whole."""
        return self.layers[0].manifest

    def lookup(self, token: bytes) -> Found | None:
        """What the newest layer that knows the account says; None: no layer does.

        A removed account is found, with `record.removed`. Raises SnapshotError as Layer.lookup does.
        """
        for layer in self.layers:
            record = layer.lookup(token)
            if record is not None:
                return Found(record, layer.manifest)
        return None
