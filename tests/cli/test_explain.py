"""`counterfoil explain`: why a sale ended as it did, in words and with an exit code for an auditor's script."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.cli.explained import duration
from agent.cli.main import main
from agent.texts import LANGUAGES, Language, catalogue
from tests.cli.lane_on_disk import Command, LaneOnDisk
from tests.local.served import ServedLane
from tests.services.lanes import CUSTOMER, Phone, declined, order
from tests.uplink.world import run

Capture = pytest.CaptureFixture[str]
Explain = Callable[..., tuple[int, str]]


@pytest.fixture
def explain(served: ServedLane, config: Path, capsys: Capture) -> Explain:
    """The verb beside the running agent: exit code and what it printed."""

    def explained(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = served.tell(lambda _: main(["explain", "sale-0001", *words, "--config", str(config)]))
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return explained


def sell(served: ServedLane, minor: int = 3_000, **code: Any) -> None:
    till = served.till
    run(till.checkout.sell(order(minor=minor), till.phone().code(**code)))


def test_a_decline_names_the_rule_its_values_and_its_limit(served: ServedLane, explain: Explain) -> None:
    sell(served, 81_234)
    code, told = explain("--language", "en")
    assert code == 0
    lines = [line.strip() for line in told.splitlines()]
    at = next(n for n, line in enumerate(lines) if line.startswith("YES   floor-limit"))
    sentence = catalogue("en")["reasons"]["floor_limit"]["cashier"]
    assert lines[at].endswith(f" {sentence}. (declines 61)")
    assert lines[at + 1] == "sale_amount_minor (¥812.34) >= floor_limit_minor (¥800.00)"
    assert lines[at - 1] == "The answer was given by:", "what decided comes before all that did not"
    assert [line for line in lines if "floor-limit " in line] == [lines[at]], "and is not told again"
    assert "Attempt 1: declined 61, ¥812.34" in told
    assert "time known by a time that the lender signed" in told
    assert "Decided again from its own record: the same answer" in told
    assert "declined by this lane" in told, "kinds of entries are told in words"
    quiet = next(n for n, line in enumerate(lines) if line.startswith("no "))
    assert lines[quiet + 1].startswith("does not hold: "), "a quiet rule tells with its values why it was quiet"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_outcome_is_told_in_the_language_that_is_asked_for(
    served: ServedLane, explain: Explain, language: Language
) -> None:
    till = served.till
    till.install({CUSTOMER: 90_000})
    sell(served, 34_567, user_verified=False)
    sell(served, 34_567, age_s=600)
    till.backend.available, till.backend.answer = True, declined(rules=[["limit", "decline", "fired"]])
    sell(served, 34_567)
    till.backend.answer = None
    sell(served, 34_567)
    code, told = explain("--language", language)
    labels, reasons = catalogue(language)["explain"], catalogue(language)["reasons"]
    assert code == 0
    assert all(f"{labels['attempt'].split('{')[0]}{n}" in told for n in (1, 2, 3, 4))
    for label in ("online_unknown", "checks", "replay_same", "replay_by_backend", "backend_rules"):
        assert labels[label] in told, label
    for reason in ("step_up", "pass.proof_stale", "backend_declined", "approved_offline"):
        assert reasons[reason]["cashier"] in told, reason


def test_the_lanes_own_language_is_the_default(served: ServedLane, explain: Explain) -> None:
    sell(served)
    assert explain()[1].startswith("收银台 lane-01，单号 sale-0001\n")


def test_the_json_value_has_every_rule_with_its_values_and_no_account(served: ServedLane, explain: Explain) -> None:
    sell(served)
    code, told = explain("--json")
    (attempt,) = json.loads(told)["attempts"]
    checks = {check["id"]: check for check in attempt["decision"]["checks"]}
    assert code == 0
    assert checks["floor-limit"]["values"] == {"sale_amount_minor": 3_000, "floor_limit_minor": 80_000}
    assert CUSTOMER.hex() not in told


def test_a_decision_that_does_not_follow_from_its_record_is_an_alarm(
    served: ServedLane, explain: Explain, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell(served)
    changed = served.till.lender.policy(1, lane_consecutive_lower=0, lane_consecutive_upper=0)
    monkeypatch.setattr(served.till.ledger, "policy_of_version", lambda *_: changed)
    code, told = explain("--language", "en")
    assert code == 1
    assert "ALARM" in told and "response_code: stored 00, but 65 follows" in told


def test_a_policy_that_is_kept_no_longer_is_said_to_be_missing(
    served: ServedLane, explain: Explain, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell(served)
    monkeypatch.setattr(served.till.ledger, "policy_of_version", lambda *_: None)
    code, told = explain("--language", "en")
    assert code == 3
    assert "It cannot be decided again here: policy 1 of shoplend is no longer kept." in told


def test_a_sale_that_the_lane_does_not_know_is_a_sentence(explain: Explain) -> None:
    code, told = explain()
    assert code == 1
    assert told.startswith("counterfoil: The journal of this lane has no sale sale-0001.")


def test_it_works_while_the_agent_is_stopped(lane: LaneOnDisk, counterfoil: Command) -> None:
    with lane.lane() as stopped:
        phone = Phone(stopped.clock._clock, CUSTOMER)  # type: ignore[arg-type]
        run(stopped.checkout.sell(order(minor=3_000), phone.code()))
    said = counterfoil("explain", "sale-0001", "--language", "en")
    assert (said.code, said.err) == (0, "")
    assert "Attempt 1: approved 00, ¥30.00" in said.out
    unknown = counterfoil("explain", "sale-0002")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.startswith("counterfoil: The journal of this lane has no sale sale-0002.")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59, "59 s"), (90_061, "1 d 1 h 1 min 1 s"), (-3_600, "-1 h"), (86_400, "1 d")]
)
def test_a_duration_is_told_in_the_units_that_fit(seconds: int, words: str) -> None:
    assert duration(seconds) == words
