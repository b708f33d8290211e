"""The fold: one entry, its effects on every cache, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest

from agent.core.journal import Draft, Kind, Position
from agent.core.situation import Totals
from agent.core.trusted_time import ClockReading
from agent.simulation.disk import Disk, DiskVfs
from agent.simulation.recovery import content_of, open_ledger
from agent.store.ledger import SqliteLedger

NOW_S = 1_800_000_000
READING = ClockReading(NOW_S, True, "signed")
ACCOUNT = b"a" * 16
START = Position(1, 0)
IDENTITY = {"amount_minor": 300, "currency": "CNY", "account": ACCOUNT, "capture": "later", "cti": b"cti.cti."}
ANSWER = {"response_code": "00", "reason": "approved", "authorization_code": "A1B2C3"}
INTENT = IDENTITY | {"lease": {"epoch": 1, "debit_minor": 200}}
OUTCOME = IDENTITY | ANSWER | {"approved": True, "lease": {"epoch": 1, "delta_minor": 120}}
STAND_IN = IDENTITY | ANSWER | {"funding": "lease", "lease": {"epoch": 1, "delta_minor": 300}}
CAP = IDENTITY | ANSWER | {"funding": "cap", "lease": None}


@pytest.fixture
def ledger() -> Iterator[SqliteLedger]:
    vfs = DiskVfs(Disk())
    opened = open_ledger(vfs)
    opened.start_epoch("lane-01", 1, Draft(Kind.EPOCH_START, {}), READING)
    yield opened
    opened.close()


def record(
    ledger: SqliteLedger, *entries: tuple[Kind, dict[str, Any]], at: int = NOW_S, lender: str = "shoplend"
) -> None:
    drafts = [Draft(kind, body, lender, "sale-0001", 1) for kind, body in entries]
    ledger.record(drafts, ClockReading(at, True, "signed"))


def figures(ledger: SqliteLedger) -> tuple[int, int, Totals, Totals]:
    """Spent of the lease, debited of it, and the stand-in totals of account and cap."""
    since = NOW_S - 60
    return (
        ledger.spent_after("shoplend", ACCOUNT, START),
        ledger.open_debits("shoplend", ACCOUNT),
        ledger.stand_in_totals("shoplend", "account", ACCOUNT, since),
        ledger.stand_in_totals("shoplend", "cap", ACCOUNT, since),
    )


NONE, ONE = Totals(), Totals(1, 300)
REVERSAL = {"amount_minor": 300, "currency": "CNY", "account": ACCOUNT, "lease": {"epoch": 1, "delta_minor": -300}}
RETURN = {"account": ACCOUNT, "lease": {"epoch": 1, "delta_minor": 50}}
EFFECTS: dict[str, tuple[list[tuple[Kind, dict[str, Any]]], tuple[int, int, Totals, Totals]]] = {
    "an intent debits and spends nothing": ([(Kind.ONLINE_INTENT, INTENT)], (0, 200, NONE, NONE)),
    "an outcome spends what it used and frees the debit": (
        [(Kind.ONLINE_INTENT, INTENT), (Kind.ONLINE_OUTCOME, OUTCOME)],
        (120, 0, NONE, NONE),
    ),
    "a stand-in approval spends and counts": ([(Kind.AUTHORIZATION, STAND_IN)], (300, 0, ONE, NONE)),
    "a stand-in after an intent spends the same debit once": (
        [(Kind.ONLINE_INTENT, INTENT), (Kind.AUTHORIZATION, STAND_IN)],
        (300, 0, ONE, NONE),
    ),
    "an approval under the pass's cap spends no lease and counts apart": (
        [(Kind.AUTHORIZATION, CAP)],
        (0, 0, ONE, ONE),
    ),
    "a reversal gives back and forgets no sale": (
        [(Kind.AUTHORIZATION, STAND_IN), (Kind.REVERSAL, REVERSAL)],
        (0, 0, ONE, NONE),
    ),
    "a decline frees the debit": (
        [(Kind.ONLINE_INTENT, INTENT), (Kind.DECLINE, IDENTITY | ANSWER)],
        (0, 0, NONE, NONE),
    ),
    "rule 8: what is given back is subtracted like a spend": ([(Kind.LEASE_RETURN, RETURN)], (50, 0, NONE, NONE)),
}


@pytest.mark.parametrize("name", EFFECTS)
def test_each_entry_has_exactly_its_effects(ledger: SqliteLedger, name: str) -> None:
    entries, expected = EFFECTS[name]
    record(ledger, *entries)
    assert figures(ledger) == expected
    before = content_of(ledger)
    ledger.verify()
    assert content_of(ledger) == before


def test_rule_16_lenders_share_nothing(ledger: SqliteLedger) -> None:
    record(ledger, (Kind.AUTHORIZATION, STAND_IN), lender="other")
    assert figures(ledger) == (0, 0, NONE, NONE)
    assert ledger.open_batch("shoplend").totals["approved"] == {"count": 0, "minor": 0}
    assert ledger.open_batch("other").totals["approved"] == {"count": 1, "minor": 300}


def test_totals_of_a_window_leave_out_what_is_older(ledger: SqliteLedger) -> None:
    record(ledger, (Kind.AUTHORIZATION, STAND_IN), at=NOW_S - 7_200)
    assert ledger.stand_in_totals("shoplend", "lane", b"", NOW_S - 7_200) == ONE
    assert ledger.stand_in_totals("shoplend", "lane", b"", NOW_S - 3_500) == NONE


@pytest.mark.parametrize("kind", [Kind.PRINT, Kind.SNAPSHOT_INSTALLED, Kind.POLICY_INSTALLED, "of_a_later_version"])
def test_an_entry_that_concerns_no_money_moves_none(ledger: SqliteLedger, kind: Kind) -> None:
    before = content_of(ledger)[2:]
    record(ledger, (kind, {"job_id": 1}))
    assert content_of(ledger)[2:] == before
    assert ledger.head.number == 2
