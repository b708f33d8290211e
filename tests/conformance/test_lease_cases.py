"""A case holds an honest backend to what the protocol says, whatever else the backend does at the same time."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from unittest import mock

from agent.conformance import snapshot, suite
from agent.conformance.kit import Kit, Phone
from agent.conformance.lane import Lane
from tests.conformance.served import serving

WAIT_S = 120


def cut_layer(kit: Kit, lane: Lane, phone: Phone) -> None:
    """The operator sets the account's limit anew: the account is in one more layer."""
    before, deadline = snapshot.newest(lane, phone.lender), time.monotonic() + WAIT_S
    kit.hooks["set_limit"](lender=phone.lender, account=phone.account.hex(), limit_minor=phone.limit_minor)
    while snapshot.newest(lane, phone.lender) == before:
        assert time.monotonic() < deadline, "no layer was cut"
        time.sleep(0.05)


def test_a_layer_that_was_cut_before_a_sale_was_told_is_no_fault_of_the_backend() -> None:
    """The layer grants the whole lease again, and the lane takes off what the layer does not include of its sales."""
    ask = Lane.ask_for_more

    with tempfile.TemporaryDirectory() as directory, serving(Path(directory)) as (url, kit):

        def ask_late(lane: Lane, phone: Phone, left_minor: int) -> None:
            cut_layer(kit, lane, phone)
            ask(lane, phone, left_minor)

        with mock.patch.object(Lane, "ask_for_more", ask_late):
            results = suite.run(url, kit, suite.chosen(["L-23"]), tell=lambda _: None)
    assert [(result.outcome, result.why, result.came) for result in results] == [("passed", "", "")]
