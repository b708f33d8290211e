"""What all devices share: a life whose every step is either allowed or refused, and a remedy for every reason."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import get_args

import pytest

import drivers
from drivers.device import TRANSITIONS, DeviceState, State, Statistics
from drivers.errors import LifeCycleError
from drivers.remedies import REMEDIES, remedy_for

EVENTS = ("open", "claim", "enable", "disable", "release", "fail", "recover", "close")
SOURCES = list(Path(drivers.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize(("state", "event"), list(itertools.product(get_args(State), EVENTS)))
def test_every_event_in_every_state_leads_somewhere_or_is_refused_and_changes_nothing(state: State, event: str) -> None:
    before = DeviceState(state)
    if (state, event) in TRANSITIONS:
        assert before.after(event, "lost").name == TRANSITIONS[state, event]
    else:
        with pytest.raises(LifeCycleError):
            before.after(event)


def test_only_a_failed_device_has_a_reason_and_closing_is_possible_from_anywhere() -> None:
    failed = DeviceState("enabled").after("fail", "lost")
    assert failed == DeviceState("failed", "lost")
    assert failed.usable
    assert failed.after("recover") == DeviceState("enabled")
    assert all(DeviceState(state).after("close") == DeviceState() for state in get_args(State))


def test_a_life_goes_open_claim_enable_and_back() -> None:
    state = DeviceState()
    for event in ("open", "claim", "enable", "disable", "release", "close"):
        state = state.after(event)
    assert state == DeviceState()


def test_a_counter_that_was_not_declared_is_a_mistake() -> None:
    statistics = Statistics("good_scan_count")
    statistics.add("good_scan_count", 2)
    assert statistics.snapshot() == {"good_scan_count": 2}
    with pytest.raises(KeyError):
        statistics.add("god_scan_count")


def test_every_reason_in_the_sources_has_a_remedy_in_both_languages() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    raised = set(re.findall(r'(?:TransportError|Dropped)\(\s*"(\w+)"', text))
    outcomes = set(re.findall(r'PrintOutcome\(\s*"\w+", "(\w+)"', text))
    assert {"lost", "stalled", "overlong", "unprintable", "no_return_channel"} <= raised | outcomes
    assert raised | outcomes <= set(REMEDIES)
    assert all(remedy.en.endswith(".") and remedy.zh.endswith("。") for remedy in REMEDIES.values())
    assert remedy_for("", "zh-CN") == ""
    assert remedy_for("paper_out", "zh-CN") == "请更换纸卷。"


def test_devices_know_neither_the_agent_nor_the_backend() -> None:
    for path in SOURCES:
        found = re.findall(r"^\s*(?:from|import) (agent|backend)\b", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert not found, f"{path.name} imports {found}: a field engineer tests devices with the agent stopped"
