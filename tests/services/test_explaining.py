"""Every sale of a lane can be explained: what was asked, what it saw, who decided, and that it still follows."""

import hashlib
import random
from functools import cache
from typing import Any

import pytest

from agent.core.journal import Kind
from agent.core.policy import Policy, read_policy
from agent.core.sale_story import replays, story
from agent.services.explaining import explanation
from tests.services.lanes import CUSTOMER, LENDER, STRANGER, Till, declined, order
from tests.uplink.world import run

SALE = "sale-0001"


def sell(till: Till, minor: int = 1_234, *, account: bytes = CUSTOMER, sale_id: str = SALE, **code: Any) -> None:
    run(till.checkout.sell(order(sale_id, minor), till.phone(account).code(**code)))


def attempts(till: Till, sale_id: str = SALE) -> list[dict[str, Any]]:
    told = explanation(till.ledger, sale_id)
    assert told is not None and (told["sale_id"], told["lane"]) == (sale_id, "lane-01")
    found: list[dict[str, Any]] = told["attempts"]
    return found


def decision(till: Till) -> dict[str, Any]:
    (attempt,) = attempts(till)
    found: dict[str, Any] = attempt["decision"]
    return found


def test_a_stand_in_names_policy_snapshot_clock_and_every_rule(till: Till) -> None:
    sell(till)
    found = decision(till)
    assert (found["by"], found["approved"], found["funding"], found["replay"]) == ("lane", True, "lease", "same")
    assert (found["policy_version"], found["snapshot_sequence"], found["clock_source"]) == (1, 1, "signed")
    policy = till.lane.lenders.first.policy
    assert policy is not None
    assert [check["id"] for check in found["checks"] if check["effect"] != "always"] == [r.id for r in policy.rules]


def test_each_attempt_of_a_sale_is_told_with_all_its_entries(till: Till) -> None:
    till.install({CUSTOMER: 100_000})
    sell(till, 34_567, user_verified=False)
    sell(till, 34_567)
    first, second = attempts(till)
    assert (first["decision"]["response_code"], second["decision"]["response_code"]) == ("1A", "00")
    assert [entry["kind"] for entry in second["entries"]] == ["authorization", "capture"]


def test_an_online_answer_is_told_as_the_backend_gave_it(till: Till) -> None:
    till.backend.available = True
    till.backend.answer = declined("51", rules=[["limit", "decline", "fired"]], policy_version=9)
    sell(till)
    found = decision(till)
    assert (found["by"], found["replay"], found["checks"]) == ("backend", "by_backend", [])
    assert (found["policy_version"], found["rules"]) == (9, [["limit", "decline", "fired"]])


def test_an_intent_without_an_outcome_is_open(till: Till) -> None:
    async def dies(_: Any) -> Any:
        raise KeyboardInterrupt

    till.backend.available, till.backend.answer = True, dies
    with pytest.raises(KeyboardInterrupt):
        sell(till)
    (attempt,) = attempts(till)
    assert attempt["decision"] is None
    assert [entry["kind"] for entry in attempt["entries"]] == ["online_intent"]


def test_no_answer_in_time_is_told_with_the_stand_in_that_followed(till: Till) -> None:
    till.backend.available, till.backend.answer = True, None
    sell(till)
    found = decision(till)
    assert (found["by"], found["online_unknown"], found["replay"]) == ("lane", True, "same")


def test_a_decline_at_sight_asked_no_rule(till: Till) -> None:
    sell(till, age_s=3_600)
    found = decision(till)
    assert (found["reason"], found["replay"], found["checks"]) == ("pass.proof_stale", "no_rule_asked", [])


def test_a_policy_of_then_explains_a_sale_of_then(till: Till) -> None:
    sell(till)
    till.lane.lenders.install_policy(LENDER, till.lender.policy(2, floor_limit_minor=1, step_up_minor=1))
    till.restart()
    assert (decision(till)["replay"], decision(till)["policy_version"]) == ("same", 1)


def test_every_policy_that_was_in_force_is_kept_as_its_entry_names_it(till: Till) -> None:
    till.lane.lenders.install_policy(LENDER, till.lender.policy(2))
    for sealed in till.entries(Kind.POLICY_INSTALLED):
        entry = sealed.entry
        kept = till.ledger.policy_of_version(entry.lender or "", entry.body["version"])
        assert kept is not None and hashlib.sha256(kept).digest() == entry.body["digest"]


def test_a_changed_policy_is_an_alarm_that_names_what_differs(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    sell(till)
    other = till.lender.policy(1, account_consecutive_lower=0, account_consecutive_upper=0)
    monkeypatch.setattr(till.ledger, "policy_of_version", lambda *_: other)
    found = decision(till)
    assert found["replay"] == "different"
    assert found["differs"]["response_code"] == {"stored": "00", "follows": "65"}
    assert found["differs"]["approved"] == {"stored": True, "follows": False}


@pytest.mark.parametrize(("kept", "replay"), [(None, "policy_not_kept"), (b"no policy", "unreadable")])
def test_what_cannot_be_decided_again_is_said_to_be_so(
    till: Till, monkeypatch: pytest.MonkeyPatch, kept: bytes | None, replay: str
) -> None:
    sell(till)
    monkeypatch.setattr(till.ledger, "policy_of_version", lambda *_: kept)
    found = decision(till)
    assert (found["replay"], found["checks"]) == (replay, [])
    assert found["why"]


def test_a_sale_that_the_journal_does_not_have_has_no_story(till: Till) -> None:
    assert explanation(till.ledger, "sale-9999") is None


LIMITS = {
    "floor_limit_minor": 100_000,
    "low_tier_floor_limit_minor": 100_000,
    "step_up_minor": 100_000,
    "account_consecutive_upper": 9,
    "account_cumulative_upper_minor": 300_000,
    "lane_consecutive_upper": 300,
    "cap_minor_max": 30_000,
    "cap_account_cumulative_minor": 60_000,
}


@pytest.mark.parametrize("sales", [100, pytest.param(1_000, marks=pytest.mark.proof)])
def test_random_sales_over_random_policies_follow_again_bit_for_bit(till: Till, sales: int) -> None:
    """Seeded, at a real lane: accounts with and without leases, locked phones, stale codes, a line that comes and goes,
    a clock that runs, twenty policies."""

    @cache
    def policy_of(lender: str, version: int) -> Policy | None:
        kept = till.ledger.policy_of_version(lender, version)
        return read_policy(kept) if kept else None

    dice = random.Random(20)
    people = [bytes([number]) * 16 for number in range(20)]
    replayed: list[str] = []
    for number in range(sales):
        if number % (sales // 20) == 0:
            limits = {name: dice.randrange(high) for name, high in LIMITS.items()}
            lower = {name.replace("upper", "lower"): 0 for name in limits if "upper" in name}
            till.lane.lenders.install_policy(LENDER, till.lender.policy(number + 2, **limits, **lower))
            till.install({person: dice.randrange(200_000) for person in people[:15]})
        till.backend.available, till.backend.answer = dice.random() < 0.1, dice.choice([None, declined()])
        sale_id = f"sale-{number:04}"
        phone = till.phone(dice.choice([*people, STRANGER]), cap_minor=dice.randrange(40_000), tier=dice.randrange(8))
        code = phone.code(age_s=dice.choice([0, 0, 0, 0, 95]), user_verified=dice.random() < 0.7)
        run(till.checkout.sell(order(sale_id, dice.randrange(1, 90_000), category=dice.choice(["5411", "5814"])), code))
        till.clock.pass_time(dice.randrange(600))
        replayed += replays(story([sealed.entry for sealed in till.ledger.sale_entries(sale_id)], policy_of))
    assert set(replayed) == {"same", "no_rule_asked", "by_backend"}
    assert replayed.count("same") > sales * 7 // 10
