"""The signed manifest of a layer: for whom it is, how old it may get, what it already includes, what it lies upon.

The one rule: a manifest that exists is valid: every field is checked when it is made, by the builder and by the reader
alike, so nothing behind this file meets a hostile value.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from agent.core.snapshot_layer import DIGEST_BYTES, SnapshotError

SNAPSHOT_TYPE = "counterfoil-snapshot"  # the `typ` of the signed document; its key has the role "snapshot"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # also a safe file name: no separator, never "." or ".."
_CURRENCY = re.compile(r"[A-Z]{3}")  # ISO 4217
_COUNT_END = 2**53  # counts, sequences and times survive a JSON number


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the lender signs about a layer. Raises SnapshotError("manifest_malformed") when a field is out of range.

    `below` is the digest of the layer underneath: None makes this a base layer, and then base_sequence = sequence.
    `records` and `digest` are filled in by the builder.
    """

    lender: str
    merchant: str
    store: str
    lane: str | None  # None: the leases are the store's, drawn from its pool
    lease_epoch: int
    sequence: int
    base_sequence: int
    below: bytes | None
    built_at: int  # seconds UTC
    soft_age_s: int
    hard_age_s: int
    applied_through: Mapping[str, tuple[int, int]]  # lane -> (epoch, number) of its last journal entry included here
    currency: str
    policy_version: int  # the oldest policy that may judge these records
    origin: tuple[int, int]  # latitude and longitude in microdegrees: the zero of every place
    pool: tuple[str, int] | None = None  # etcd cluster id and generation that count the store's draws
    records: int = 0
    digest: bytes = bytes(DIGEST_BYTES)  # SHA-256 of the table of page digests

    def __post_init__(self) -> None:
        for name, is_valid in _VALID.items():
            if not is_valid(getattr(self, name)):
                raise SnapshotError("manifest_malformed", f"the manifest's {name} is out of range")
        if not 0 < self.soft_age_s <= self.hard_age_s:
            raise SnapshotError("manifest_malformed", "the manifest's soft age is not within its hard age")
        is_base = self.below is None
        if is_base != (self.sequence == self.base_sequence) or self.base_sequence > self.sequence:
            raise SnapshotError("manifest_malformed", "the manifest's sequences contradict the layer below")

    def encode(self) -> dict[str, object]:
        """The payload to sign as a document of type SNAPSHOT_TYPE: text keys, CBOR values."""
        payload: dict[str, object] = {field.name: getattr(self, field.name) for field in fields(self)}
        return payload | {"applied_through": dict(self.applied_through)}

    @classmethod
    def decode(cls, payload: Mapping[str, object]) -> "Manifest":
        """Read a payload whose signature is good. Fields of later versions are ignored. Raises SnapshotError."""
        missing = [field.name for field in fields(cls) if field.name not in payload]
        if missing:
            raise SnapshotError("manifest_malformed", f"the manifest lacks {', '.join(missing)}")
        known = {field.name: _tupled(payload[field.name]) for field in fields(cls)}
        return cls(**known)  # type: ignore[arg-type]  # __post_init__ checks the type of every field

    def follows(self, below: "Manifest", below_digest: bytes) -> None:
        """Raise SnapshotError("stack_broken") unless this delta may lie directly upon `below`."""
        if self.below != below_digest:
            raise SnapshotError("stack_broken", f"delta {self.sequence} was not cut against layer {below.sequence}")
        for name in _ONE_PER_STACK:
            if getattr(self, name) != getattr(below, name):
                raise SnapshotError("stack_broken", f"delta {self.sequence} differs in its {name} from the layer below")
        for name in _NEVER_FALL:
            if getattr(self, name) < getattr(below, name):
                raise SnapshotError("stack_broken", f"the {name} of delta {self.sequence} falls behind the layer below")
        if self.sequence == below.sequence:
            raise SnapshotError("stack_broken", f"two layers have the sequence {self.sequence}")


_ONE_PER_STACK = ("lender", "merchant", "store", "lane", "currency", "base_sequence", "origin", "pool")
_NEVER_FALL = ("sequence", "lease_epoch", "built_at", "policy_version")


def _tupled(value: object) -> object:
    """CBOR gives lists; a manifest holds tuples, so that two equal manifests compare equal."""
    if isinstance(value, dict):
        return {key: _tupled(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _COUNT_END


def _is_name(value: object) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _is_digest(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == DIGEST_BYTES


def _is_entry(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_count, value))


def _is_applied_through(value: object) -> bool:
    return isinstance(value, Mapping) and all(_is_name(lane) and _is_entry(entry) for lane, entry in value.items())


def _is_origin(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_angle, value, (90_000_000, 180_000_000)))


def _is_angle(value: object, max_microdeg: int) -> bool:
    return type(value) is int and -max_microdeg <= value <= max_microdeg


def _is_pool(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and _is_name(value[0]) and _is_count(value[1])


_VALID: dict[str, Callable[[object], bool]] = {
    "lender": _is_name,
    "merchant": _is_name,
    "store": _is_name,
    "lane": lambda value: value is None or _is_name(value),
    "lease_epoch": _is_count,
    "sequence": _is_count,
    "base_sequence": _is_count,
    "below": lambda value: value is None or _is_digest(value),
    "built_at": _is_count,
    "soft_age_s": _is_count,
    "hard_age_s": _is_count,
    "applied_through": _is_applied_through,
    "currency": lambda value: isinstance(value, str) and _CURRENCY.fullmatch(value) is not None,
    "policy_version": _is_count,
    "origin": _is_origin,
    "pool": lambda value: value is None or _is_pool(value),
    "records": _is_count,
    "digest": _is_digest,
}
