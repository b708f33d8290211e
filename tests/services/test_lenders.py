"""What comes into force at a lane: only what verifies, never backwards, journaled once, and again after a crash."""

from collections.abc import Callable
from typing import Any

import pytest

from agent.core.journal import Kind
from agent.errors import LedgerUnavailable, UntrustedDocument
from tests.services.lanes import CUSTOMER, DAY_S, LENDER, NOW_S, PaperLender, Till, order
from tests.uplink.world import run

Opened = Callable[..., Till]


def journaled(till: Till, kind: Kind, field: str) -> list[int]:
    return [sealed.entry.body[field] for sealed in till.entries(kind)]


def test_a_document_is_journaled_when_it_comes_into_force_and_once_however_often_it_comes(till: Till) -> None:
    lenders, keys, policy = till.lane.lenders, till.lender.key_list(2), till.lender.policy(2)
    for _ in range(2):
        assert lenders.install_keys(LENDER, keys)
        assert lenders.install_policy(LENDER, policy)
    till.restart()
    assert till.lane.lenders.install_policy(LENDER, policy)
    assert journaled(till, Kind.KEYS_INSTALLED, "version") == [2]
    assert journaled(till, Kind.POLICY_INSTALLED, "version") == [1, 2]
    assert (till.lane.lenders.first.keys.version, till.lane.lenders.first.policy.version) == (2, 2)  # type: ignore[union-attr]


def test_no_version_goes_backwards_and_what_is_in_force_stays(till: Till) -> None:
    lenders = till.lane.lenders
    old_keys, old_policy = till.lender.key_list(2), till.lender.policy(2)
    lenders.install_keys(LENDER, till.lender.key_list(3))
    lenders.install_policy(LENDER, till.lender.policy(3))
    for install, document in ((lenders.install_keys, old_keys), (lenders.install_policy, old_policy)):
        with pytest.raises(UntrustedDocument):
            install(LENDER, document)
    assert (lenders.first.keys.version, lenders.first.policy.version) == (3, 3)  # type: ignore[union-attr]
    assert {"keys", "policy"} <= lenders.first.faults.keys()


@pytest.mark.parametrize("name", ["another lender", "junk"])
def test_a_document_that_another_signed_is_refused(till: Till, name: str) -> None:
    other = PaperLender("other")
    lenders = till.lane.lenders
    with pytest.raises(UntrustedDocument):
        lenders.install_policy(LENDER, other.policy(9) if name != "junk" else b"junk")
    with pytest.raises(UntrustedDocument):
        lenders.install_keys(LENDER, other.key_list(9) if name != "junk" else b"junk")
    with pytest.raises(UntrustedDocument):
        lenders.install_policy("other", other.policy(9))


@pytest.mark.parametrize("fields", [{"lane": "lane-02"}, {"lender": "other"}, {"lane": None}])
def test_a_snapshot_for_somebody_else_is_refused(till: Till, fields: dict[str, Any]) -> None:
    with pytest.raises(UntrustedDocument):
        till.install({CUSTOMER: 10**6}, **fields)
    assert till.left() == 10_000
    assert till.lane.lenders.first.snapshot_sequence == 1
    assert journaled(till, Kind.SNAPSHOT_INSTALLED, "sequence") == [1]


def test_a_crash_between_the_snapshots_file_and_its_entry_is_mended_at_the_start(till: Till) -> None:
    ledger: Any = till.ledger

    def dies(*_: Any, **__: Any) -> None:
        raise LedgerUnavailable("the process dies here")

    ledger.record = dies
    with pytest.raises(LedgerUnavailable):
        till.install({CUSTOMER: 500}, delta=True)
    till.restart()
    assert (till.lane.lenders.first.snapshot_sequence, till.left()) == (2, 500)
    assert journaled(till, Kind.SNAPSHOT_INSTALLED, "sequence") == [1, 2]
    till.restart()
    assert journaled(till, Kind.SNAPSHOT_INSTALLED, "sequence") == [1, 2]


def test_a_snapshot_older_than_one_that_was_in_force_is_not_opened(till: Till) -> None:
    old = till.directory / "snapshots"
    kept = till.directory / "kept"
    old.rename(kept)
    till.install({CUSTOMER: 20_000})
    (till.directory / "snapshots").rename(till.directory / "newer")
    kept.rename(old)
    till.restart()
    assert till.lane.lenders.first.stack is None
    assert run(till.checkout.sell(order(), till.phone().code())).reason == "snapshot_missing"


def test_a_wrong_clock_at_the_start_costs_neither_policy_nor_snapshot_once_the_time_is_known(till: Till) -> None:
    """The battery is dead and says 2099: the lender's keys seem to have expired."""
    till.restart(wall_s=NOW_S + 600 * DAY_S)
    lender = till.lane.lenders.first
    assert (lender.policy, lender.stack) == (None, None)
    assert till.tell_time(NOW_S + 60)
    assert lender.faults == {}
    hold = run(till.checkout.sell(order(), till.phone().code(at=NOW_S + 60)))
    assert hold.reason == "approved_offline"


def test_a_fault_of_a_document_is_forgotten_when_the_next_one_is_good(till: Till) -> None:
    with pytest.raises(UntrustedDocument):
        till.lane.lenders.install_policy(LENDER, b"junk")
    assert "policy_expired" in {found.code for found in till.lane.conditions()}
    till.lane.lenders.install_policy(LENDER, till.lender.policy(2))
    assert "policy_expired" not in {found.code for found in till.lane.conditions()}


def test_a_proof_is_forgotten_by_recorded_time_and_not_by_a_clock_that_is_years_ahead(till: Till) -> None:
    code = till.phone().code()
    run(till.checkout.sell(order(), code))
    till.restart(wall_s=NOW_S + 600 * DAY_S)
    run(till.lane.maintain())
    till.tell_time(NOW_S + 20)
    assert run(till.checkout.sell(order("sale-0002"), code)).reason == "proof_replayed"
