"""A lane that the backend no longer serves stops approving alone, says so, and still sends what it has recorded."""

from collections.abc import Callable

import pytest

from agent.services.health import CERTIFICATE_WARN_S, DAY_S
from tests.services.lanes import NOW_S, Till, order
from tests.uplink.world import run

Opened = Callable[..., Till]


def codes(till: Till) -> dict[str, tuple[str, bool]]:
    return {found.code: (found.severity, found.ends_stand_in) for found in till.lane.conditions()}


@pytest.mark.parametrize("refusal", ["lane_revoked", "lane_replaced"])
def test_a_lane_that_is_served_again_approves_alone_again(till: Till, refusal: str) -> None:
    till.lane.standing.told(refusal)
    assert codes(till)[refusal] == ("error", True)
    assert run(till.checkout.sell(order(), till.phone().code())).reason == refusal
    till.lane.standing.told(None)
    till.restart()
    assert refusal not in codes(till)
    assert run(till.checkout.sell(order("sale-0002"), till.phone().code())).reason == "approved_offline"


def test_a_revoked_lane_goes_on_sending_its_journal(till: Till) -> None:
    run(till.checkout.sell(order(), till.phone().code()))
    till.lane.standing.told("lane_revoked")
    till.restart()
    upload = till.lane.forwarding.next_upload(100, 1 << 20)
    assert upload is not None
    till.lane.forwarding.acknowledged(1, upload.first + len(upload.entries) - 1, [])
    assert till.lane.forwarding.depth == 0


def test_a_certificate_that_the_backend_calls_expired_is_told_but_leaves_the_leases_to_be_spent(till: Till) -> None:
    till.lane.standing.told("certificate_expired")
    assert codes(till)["certificate_expired"] == ("error", False)
    assert run(till.checkout.sell(order(), till.phone().code())).reason == "approved_offline"


@pytest.mark.parametrize(
    ("left_s", "said"),
    [
        (CERTIFICATE_WARN_S, {}),
        (CERTIFICATE_WARN_S - 1, {"certificate_expires": ("warning", False)}),
        (1, {"certificate_expires": ("warning", False)}),
        (0, {"certificate_expired": ("error", False)}),
        (-40 * DAY_S, {"certificate_expired": ("error", False)}),
    ],
)
def test_the_end_of_the_certificate_is_told_two_weeks_ahead(
    till: Till, left_s: int, said: dict[str, tuple[str, bool]]
) -> None:
    till.lane._certificate_expires_at = lambda: NOW_S + left_s
    told = {code: found for code, found in codes(till).items() if code.startswith("certificate")}
    assert told == said


def test_how_many_days_are_left_is_said(till: Till) -> None:
    till.lane._certificate_expires_at = lambda: NOW_S + 5 * DAY_S + 7
    assert any("5 days left" in found.detail for found in till.lane.conditions())
