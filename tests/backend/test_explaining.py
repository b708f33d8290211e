"""The backend explains a lane's decision from what the lane sent, by the policy of that time, as the lane does."""

from typing import Any

import pytest

from agent.core.decision import decide
from agent.core.replay import explained
from backend.admin.operation import Answer, Refused, perform
from backend.admin.table import OPERATIONS
from tests.backend.lanes import LENDER, PaperLane, Shop
from tests.core.situations import an_ordinary_sale


@pytest.fixture
def lane(shop: Shop) -> PaperLane:
    return shop.lanes["A"]


def decline(lane: PaperLane, amount_minor: int = 90_000, **changes: Any) -> tuple[int, int]:
    """The lane declines a sale by its rules and sends the entry; where it stands."""
    policy = lane.shop.backend.lenders[LENDER].policy
    at_s = lane.shop.clock.now_s
    situation = an_ordinary_sale(lender=LENDER, sale_amount_minor=amount_minor, clock_at_s=at_s)
    decision = decide(situation, policy)
    assert not decision.approved
    body = {"amount_minor": amount_minor, "currency": "CNY", "category": "5411", "capture": "at_once", "code": b"code"}
    body |= {"account": lane.shop.token, "cti": b"12345678", "online_unknown": False}
    body |= explained(decision) | {"situation": situation.kept()} | changes
    written = lane.write("decline", body, lane.new_sale()).entry
    lane.upload()
    return written.epoch, written.number


def explain(lane: PaperLane, entry: tuple[int, int]) -> Answer:
    params = {"lane": lane.name, "epoch": entry[0], "number": entry[1]}
    *_, last = perform(OPERATIONS, lane.shop.backend, "entry.explain", params)
    return dict(last["answer"])


def publish_next(shop: Shop, **limits: int) -> None:
    policy = shop.backend.lenders[LENDER].policy
    payload = policy.payload()
    document = payload | {"version": policy.version + 1, "limits": payload["limits"] | limits}
    list(perform(OPERATIONS, shop.backend, "policy.publish", {"document": document}))
    shop.clock.now_s += 1


def test_a_decline_is_explained_by_its_rules_and_their_values(lane: PaperLane) -> None:
    told = explain(lane, decline(lane))
    (answer,) = [check for check in told["decision"]["checks"] if check["answered"]]
    assert (told["sale_id"], told["decision"]["replay"]) == ("sale-A-0001", "same")
    assert (answer["id"], answer["values"]) == (
        "floor-limit",
        {"sale_amount_minor": 90_000, "floor_limit_minor": 80_000},
    )


def test_a_policy_of_then_is_kept_for_as_long_as_its_entries(shop: Shop, lane: PaperLane) -> None:
    before = decline(lane)
    publish_next(shop, step_up_minor=1)
    after = decline(lane)
    versions = [explain(lane, entry)["decision"]["policy_version"] for entry in (before, after)]
    assert versions[0] + 1 == versions[1]
    assert {explain(lane, entry)["decision"]["replay"] for entry in (before, after)} == {"same"}


def test_a_decision_that_does_not_follow_is_found(lane: PaperLane) -> None:
    decision = explain(lane, decline(lane, response_code="05"))["decision"]
    assert (decision["replay"], decision["differs"]) == (
        "different",
        {"response_code": {"stored": "05", "follows": "61"}},
    )


@pytest.mark.parametrize(
    ("changes", "replay"),
    [
        ({"policy_version": 99}, "policy_not_kept"),
        ({"policy_version": "one"}, "unreadable"),
        ({"situation": [1, 2]}, "unreadable"),
        ({"situation": None}, "no_rule_asked"),
    ],
)
def test_what_a_lane_sends_is_never_taken_to_be_right(lane: PaperLane, changes: dict[str, Any], replay: str) -> None:
    assert explain(lane, decline(lane, **changes))["decision"]["replay"] == replay


def test_an_entry_that_is_not_there_or_decided_nothing_is_refused(lane: PaperLane) -> None:
    lane.give_back(1)
    lane.upload()
    for number, said in ((1, "nothing was decided by it"), (99, "the lane A has sent no entry 1/99")):
        with pytest.raises(Refused, match=said):
            explain(lane, (1, number))
