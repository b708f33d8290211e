"""A lane that runs short of an account's credit asks for more, and no sale waits for it.

The default policy asks below a quarter of what was granted; what comes of it is the backend's plan.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.journal import Kind
from agent.errors import DiskFull
from agent.lane_desk import LaneDesk
from tests.services.lanes import CUSTOMER, LENDER, Till, codes, order

GRANTED = 10_000


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    till = Till(tmp_path, grants={CUSTOMER: GRANTED})
    yield till
    till.close()


def sell(till: Till, sale_id: str, minor: int) -> str | None:
    return codes([asyncio.run(till.checkout.sell(order(sale_id, minor), till.phone().code(user_verified=True)))])[0]


def uploaded(till: Till) -> list[str]:
    """What the uplink is given to send, as it comes for it after a sale."""
    upload = asyncio.run(LaneDesk(till.lane).next_upload(1_000, 1 << 20))
    return [] if upload is None else [sealed.entry.kind for sealed in till.ledger.entries_after(1, 0, 1_000)]


def asked(till: Till) -> list[int]:
    return [sealed.entry.body["left_minor"] for sealed in till.entries(Kind.LEASE_REQUEST)]


def test_a_lane_asks_for_more_when_a_sale_leaves_less_than_the_threshold(till: Till) -> None:
    assert sell(till, "sale-0001", 7_600) == "00"
    assert asked(till) == [], "the sale itself waits for no such entry"
    assert uploaded(till)[-1] == Kind.LEASE_REQUEST, "it goes in the upload that the sale goes in"
    (entry,) = till.entries(Kind.LEASE_REQUEST)
    assert (entry.entry.lender, dict(entry.entry.body)) == (LENDER, {"account": CUSTOMER, "left_minor": 2_400})


def test_a_lane_does_not_ask_as_long_as_the_threshold_is_left(till: Till) -> None:
    assert sell(till, "sale-0001", 7_500) == "00"
    uploaded(till)
    assert asked(till) == []


def test_a_lane_asks_once_for_each_layer_that_grants_the_lease(till: Till) -> None:
    assert sell(till, "sale-0001", 7_600) == "00"
    uploaded(till)
    assert sell(till, "sale-0002", 100) == "00"
    uploaded(till)
    assert asked(till) == [2_400]
    till.install({CUSTOMER: GRANTED})
    assert sell(till, "sale-0003", 8_000) == "00"
    uploaded(till)
    assert asked(till) == [2_400, 2_000]


def test_a_sale_that_the_lease_is_too_small_for_is_a_reason_to_ask_once_little_is_left(till: Till) -> None:
    assert sell(till, "sale-0001", 9_000) == "00"
    assert sell(till, "sale-0002", 5_000) == "61"
    uploaded(till)
    assert asked(till) == [1_000]


def test_of_a_lapsed_lease_nothing_more_is_asked_for(till: Till) -> None:
    assert sell(till, "sale-0001", 9_000) == "00"
    till.clock.pass_time(40 * 86_400)
    uploaded(till)
    assert asked(till) == []


def test_entries_are_sent_although_the_question_cannot_be_written(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DiskFull

    assert sell(till, "sale-0001", 9_000) == "00"
    with monkeypatch.context() as patched:
        patched.setattr(till.ledger, "record", refuse)
        assert uploaded(till)
    assert asked(till) == []
