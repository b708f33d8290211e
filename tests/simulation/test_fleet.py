"""The fleet in short: some hours of it in the fast suite; `make proof` runs a thousand lane-hours."""

from agent.simulation.fleet import simulate
from agent.simulation.planted_bugs import BUGS
from agent.simulation.town import Scale

SHORT = Scale(hours=1.5)


def test_every_promise_holds_in_some_hours_of_a_fleet() -> None:
    run = simulate(3, SHORT)
    assert run.findings.violations == []
    assert run.approved


def test_the_same_seed_gives_the_same_story() -> None:
    assert simulate(4, Scale(hours=0.5)).findings.trace == simulate(4, Scale(hours=0.5)).findings.trace


def test_the_auditor_sees_an_answer_that_is_shown_before_it_is_written() -> None:
    with BUGS["show before commit"]():
        assert simulate(3, SHORT).findings.violations
