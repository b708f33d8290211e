"""Signed documents that do not verify and clocks that are wrong: no stand-in approval, and words for the cashier."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.core.money import Money
from agent.errors import UntrustedDocument
from agent.services.checkout import Order
from tests.services.lanes import DAY_S, LENDER, NOW_S, PaperLender, Till


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    """A lane that stands in: policy, snapshot and signed time are good, the backend does not answer."""
    opened = Till(tmp_path)
    opened.backend.available = False
    yield opened
    opened.close()


ORDER = Order("sale-0001", Money(3_000, "CNY"), "5411")


def sold(till: Till, code: str | None = None) -> dict[str, Any]:
    return asyncio.run(till.lane.counter.open_sale(ORDER, code or till.phone().code()))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(bytes(data))


def test_the_lane_of_these_tests_approves_offline_while_nothing_is_wrong(till: Till) -> None:
    assert (sold(till)["state"], sold(till)["mode"]) == ("approved", "stand_in")


def test_one_flipped_bit_in_the_snapshot_of_a_running_lane_ends_approvals_from_it(till: Till) -> None:
    (layer,) = till.directory.rglob("layers/*.layer")
    flip(layer, 4096 + 30)  # the first page of accounts
    view = sold(till)
    assert (view["state"], view["reason"]) == ("declined", "snapshot_missing")
    assert view["texts"]["cashier"] == "没有离线数据"
    faults = till.lane.lenders.first.faults
    assert "page 1" in faults["snapshot"]
    assert "snapshot_missing" in {condition.code for condition in till.lane.conditions()}


@pytest.mark.parametrize("at", [0, 9, -20, -200], ids=["magic", "header", "signature", "manifest"])
def test_a_flipped_bit_is_found_at_the_next_start_too(at: int, till: Till) -> None:
    (layer,) = till.directory.rglob("layers/*.layer")
    flip(layer, at)
    till.restart()
    till.backend.available = False
    till.tell_time()
    assert sold(till)["reason"] == "snapshot_missing"


def forged(till: Till) -> bytes:
    return PaperLender("somebody").policy(2)


def torn(till: Till) -> bytes:
    return till.lender.policy(2)[:-10]


def flipped(till: Till) -> bytes:
    data = bytearray(till.lender.policy(2))
    data[60] ^= 1
    return bytes(data)


def older(till: Till) -> bytes:
    return till.lender.policy(1, expires_at=NOW_S + 80 * DAY_S)


def signed_by_another_role(till: Till) -> bytes:
    return till.lender.signed_time(b"n" * 16, NOW_S)


def not_even_cbor(till: Till) -> bytes:
    return b"<html>Please log in</html>"


POLICIES: tuple[Callable[[Till], bytes], ...] = (forged, torn, flipped, older, signed_by_another_role, not_even_cbor)


@pytest.mark.parametrize("make", POLICIES, ids=lambda make: make.__name__)
def test_a_policy_that_does_not_verify_is_refused_and_the_one_in_force_stays(
    make: Callable[[Till], bytes], till: Till
) -> None:
    with pytest.raises(UntrustedDocument) as refusal:
        till.lane.lenders.install_policy(LENDER, make(till))
    assert refusal.value.message.startswith(f"the policy of {LENDER} is refused: ")
    assert "tell the backend team" in refusal.value.hint
    assert "policy" in till.lane.lenders.first.faults
    assert sold(till)["state"] == "approved"


@pytest.mark.parametrize(
    ("wall_s", "why"),
    [(NOW_S - DAY_S, "86400 s behind"), (0, "s behind the last record"), (NOW_S + 400 * DAY_S, "no signed time for")],
    ids=["a day back", "1970", "next year"],
)
def test_a_clock_that_is_wrong_after_a_restart_ends_stand_in_with_its_reason(wall_s: int, why: str, till: Till) -> None:
    code = till.phone().code()  # the phone's clock is right
    till.restart(wall_s=wall_s)
    till.backend.available = False
    view = sold(till, code)
    assert view["state"] == "declined"
    condition = next(found for found in till.lane.conditions() if found.code == "clock_untrusted")
    assert why in condition.detail
    assert condition.severity == "error"
    assert all(view["texts"].values())


def test_a_clock_that_is_set_back_under_a_running_lane_changes_nothing_because_signed_time_runs_on(till: Till) -> None:
    code = till.phone().code()
    till.clock.wall = 0
    assert sold(till, code)["state"] == "approved"
