"""Every fault of the agent tells a person what happened and what to do."""

import re
from collections.abc import Iterator

import pytest

from agent import errors


def tree(base: type[errors.CounterfoilError]) -> Iterator[type[errors.CounterfoilError]]:
    yield base
    for branch in base.__subclasses__():
        yield from tree(branch)


CLASSES = [fault for fault in tree(errors.CounterfoilError) if fault.__module__ == errors.__name__]


@pytest.mark.parametrize("fault", CLASSES)
def test_every_fault_has_a_hint_that_is_a_sentence(fault: type[errors.CounterfoilError]) -> None:
    assert len(fault.hint.split()) >= 6
    assert fault.hint[0].isupper() and fault.hint.endswith(".")


@pytest.mark.parametrize("fault", CLASSES)
def test_every_fault_has_a_message_of_its_own(fault: type[errors.CounterfoilError]) -> None:
    made = fault("", ()) if issubclass(fault, errors.ConfigError) else fault()
    assert made.to_dict()["message"].strip().endswith(".") or issubclass(fault, errors.ConfigError)


def test_codes_are_stable_words_and_each_is_used_once() -> None:
    codes = [fault.code for fault in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)
