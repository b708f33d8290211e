"""A manifest that exists is valid, whether the builder makes it or a hostile file brings it."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import cbor
from agent.core.snapshot_layer import SnapshotError
from agent.core.snapshot_manifest import Manifest
from tests.core.layers import MANIFEST

DIGEST = bytes(range(32))
DELTA = replace(MANIFEST, sequence=8, below=DIGEST, lane="lane-1", pool=("8e9e05c52164694d", 3))

WRONG: dict[str, tuple[object, ...]] = {
    "lender": ("", ".", "..", "a/b", "-x", "x" * 65, "银行", "a\n", 7, None),
    "merchant": ("", 7),
    "store": ("", 7),
    "lane": ("", "../x", 7),
    "lease_epoch": (-1, 2**53, True, "1", None),
    "sequence": (-1, 6, 2**53, True, None),
    "base_sequence": (-1, 9, None),
    "below": (DIGEST, b"", "x" * 32),
    "built_at": (-1, 2**53, None),
    "soft_age_s": (0, -1, 86_401, None),
    "hard_age_s": (0, 3_599, 2**53),
    "applied_through": (None, [], {"": (1, 1)}, {"lane-1": 1}, {"lane-1": (1,)}, {"lane-1": (1, -1)}, {1: (1, 1)}),
    "currency": ("", "cny", "CNYX", "CNY\n", 156),
    "policy_version": (-1, None),
    "origin": (None, (1,), (1, 2, 3), (90_000_001, 0), (0, -180_000_001), (True, 0), ("1", "2")),
    "pool": ((), ("a",), ("a", -1), ("", 1), (1, 1), "ab"),
    "records": (-1, None),
    "digest": (b"", None, bytes(31)),
}


def test_the_table_of_wrong_values_covers_every_field() -> None:
    assert list(WRONG) == [field.name for field in fields(Manifest)]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_no_field_takes_a_value_out_of_range(name: str, value: object) -> None:
    with pytest.raises(SnapshotError) as made:
        replace(MANIFEST, **{name: value})
    with pytest.raises(SnapshotError) as read:
        Manifest.decode(MANIFEST.encode() | {name: value})
    assert made.value.reason == read.value.reason == "manifest_malformed"


@pytest.mark.parametrize("manifest", [MANIFEST, DELTA])
def test_what_is_signed_is_read_back(manifest: Manifest) -> None:
    payload = cbor.decode(cbor.encode(manifest.encode()))
    assert isinstance(payload, dict)
    assert Manifest.decode({str(key): value for key, value in payload.items()}) == manifest


@pytest.mark.parametrize("name", [field.name for field in fields(Manifest)])
def test_a_missing_field_is_refused(name: str) -> None:
    payload = DELTA.encode()
    del payload[name]
    with pytest.raises(SnapshotError, match=name):
        Manifest.decode(payload)


def test_a_field_of_a_later_version_is_ignored() -> None:
    assert Manifest.decode(MANIFEST.encode() | {"weather": "fine"}) == MANIFEST


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(list(WRONG)), ANYTHING, max_size=4))
def test_signed_nonsense_is_refused_with_the_one_typed_error(changes: dict[str, object]) -> None:
    try:
        manifest = Manifest.decode(MANIFEST.encode() | changes)
    except SnapshotError as refused:
        assert refused.reason == "manifest_malformed"
    else:
        assert Manifest.decode(manifest.encode()) == manifest


@pytest.mark.parametrize(
    "changes",
    [
        {"below": bytes(32)},
        {"lender": "otherlend"},
        {"merchant": "m2"},
        {"store": "s2"},
        {"lane": None},
        {"currency": "EUR"},
        {"base_sequence": 6},
        {"origin": (0, 0)},
        {"pool": ("8e9e05c52164694d", 4)},
        {"lease_epoch": 0},
        {"built_at": MANIFEST.built_at - 1},
        {"policy_version": 0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_delta_lies_only_upon_the_layer_it_was_cut_against(changes: dict[str, object]) -> None:
    below = replace(DELTA, sequence=7, below=None)
    DELTA.follows(below, DIGEST)
    with pytest.raises(SnapshotError) as refused:
        replace(DELTA, **changes).follows(below, DIGEST)
    assert refused.value.reason == "stack_broken"


def test_a_sequence_never_stands_still() -> None:
    with pytest.raises(SnapshotError):
        DELTA.follows(DELTA, DIGEST)
