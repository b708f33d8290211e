"""What comes into force at a lane: only what verifies, never backwards, journaled once, and again after a crash."""

from collections.abc import Callable
from typing import Any

import pytest

from agent.core import trust
from agent.core.cose import SigningKey
from agent.core.journal import Kind
from agent.errors import LedgerUnavailable, UntrustedDocument
from tests.services.lanes import CUSTOMER, DAY_S, LENDER, NOW_S, PaperLender, Till, key, order
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


# -- a lender's root and keys change ------------------------------------------------------------------------------

ROOTS = [key(f"{LENDER}-root"), *(key(f"root-{number}") for number in range(2, 5))]


def change(number: int) -> bytes:
    """The root of this number (from 2) takes over from the one before it."""
    return trust.sign_root_change(LENDER, number, ROOTS[number - 2], ROOTS[number - 1].public)


def key_list(
    version: int, *, root: int = 1, told: range | None = None, fresh: str = "", revoked: tuple[trust.Role, ...] = ()
) -> bytes:
    """A list by the root of this number; ``fresh`` names new keys beside the first ones, of which some are revoked."""
    first = [(role, key(f"{LENDER}-{role}").public, role in revoked) for role in trust.Role]
    added = [(role, key(f"{fresh}-{role}").public, False) for role in trust.Role if fresh]
    rows = tuple(
        trust.KeyEntry(public.kid, public, role, NOW_S - DAY_S, NOW_S + 300 * DAY_S, is_revoked)
        for role, public, is_revoked in first + added
    )
    succession = tuple(change(number) for number in (told if told is not None else range(2, root + 1)))
    keys = trust.KeyList(LENDER, version, NOW_S, NOW_S + 400 * DAY_S, rows, "CNY", succession=succession)
    return trust.sign_key_list(keys, ROOTS[root - 1])


class Fresh(PaperLender):
    """The same lender after it has changed all its keys."""

    def key(self, role: trust.Role) -> SigningKey:
        return key(f"fresh-{role}")


def test_a_lane_that_was_off_for_two_changes_of_the_root_walks_to_the_newest_and_never_back(till: Till) -> None:
    lenders = till.lane.lenders
    assert lenders.install_keys(LENDER, key_list(7, root=3))
    till.restart()
    lenders = till.lane.lenders
    assert (lenders.first.root, lenders.first.keys.version) == (ROOTS[2].public, 7)
    for old_root in (1, 2):
        with pytest.raises(UntrustedDocument):
            lenders.install_keys(LENDER, key_list(8, root=old_root))
    assert lenders.install_keys(LENDER, key_list(9, root=4))
    assert run(till.checkout.sell(order(), till.phone().code())).reason == "approved_offline"


def test_a_list_that_no_longer_tells_of_old_changes_is_taken_by_a_lane_that_knows_them(till: Till) -> None:
    till.lane.lenders.install_keys(LENDER, key_list(2, root=2))
    till.restart()
    assert till.lane.lenders.install_keys(LENDER, key_list(3, root=3, told=range(3, 4)))
    till.restart()
    assert (till.lane.lenders.first.root, till.lane.lenders.first.keys.version) == (ROOTS[2].public, 3)


@pytest.mark.parametrize("told", [range(0), range(3, 4), range(2, 3)], ids=["none", "not the first", "not the last"])
def test_a_gap_in_the_succession_is_not_jumped(till: Till, told: range) -> None:
    with pytest.raises(UntrustedDocument):
        till.lane.lenders.install_keys(LENDER, key_list(7, root=3, told=told))
    assert (till.lane.lenders.first.root, till.lane.lenders.first.keys.version) == (ROOTS[0].public, 1)


@pytest.mark.parametrize("failing", ["record", "store_document"])
def test_a_crash_while_a_root_changes_leaves_the_old_root_or_the_new_one_with_its_list(
    till: Till, failing: str
) -> None:
    def dies(*_: Any, **__: Any) -> None:
        raise LedgerUnavailable("the process dies here")

    setattr(till.ledger, failing, dies)
    with pytest.raises(LedgerUnavailable):
        till.lane.lenders.install_keys(LENDER, key_list(7, root=2))
    till.restart()
    assert (till.lane.lenders.first.root, till.lane.lenders.first.keys.version) == (ROOTS[0].public, 1)
    till.lane.lenders.install_keys(LENDER, key_list(7, root=2))
    till.restart()
    assert (till.lane.lenders.first.root, till.lane.lenders.first.keys.version) == (ROOTS[1].public, 7)


def test_a_list_that_was_kept_without_its_root_is_read_as_one_of_the_enrolled_root(till: Till) -> None:
    till.ledger.store_document(LENDER, "keys", 5, key_list(5))
    till.restart()
    assert (till.lane.lenders.first.root, till.lane.lenders.first.keys.version) == (ROOTS[0].public, 5)


def test_documents_of_a_new_key_count_and_those_of_the_old_one_until_it_is_revoked(till: Till) -> None:
    fresh, lenders = Fresh(), till.lane.lenders
    with pytest.raises(UntrustedDocument):
        lenders.install_policy(LENDER, fresh.policy(2))
    lenders.install_keys(LENDER, key_list(2, fresh="fresh"))
    assert lenders.first.policy is not None and lenders.first.stack is not None
    assert lenders.install_policy(LENDER, fresh.policy(2))
    assert lenders.install_policy(LENDER, till.lender.policy(3))
    lenders.install_keys(LENDER, key_list(3, fresh="fresh", revoked=(trust.Role.POLICY,)))
    assert lenders.first.policy is None
    with pytest.raises(UntrustedDocument):
        lenders.install_policy(LENDER, till.lender.policy(4))
    assert lenders.install_policy(LENDER, fresh.policy(4))


REVOKED = {
    trust.Role.POLICY: "policy_expired",
    trust.Role.SNAPSHOT: "snapshot_missing",
    trust.Role.CREDENTIAL: "pass.key_revoked",
}


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("role", REVOKED)
def test_what_a_revoked_key_signed_stops_counting_at_once_and_after_a_restart(
    till: Till, role: trust.Role, restarts: bool
) -> None:
    till.lane.lenders.install_keys(LENDER, key_list(2, fresh="fresh", revoked=(role,)))
    if restarts:
        till.restart()
    assert run(till.checkout.sell(order(), till.phone().code())).reason == REVOKED[role]


def test_time_signed_with_a_revoked_key_is_not_believed(till: Till) -> None:
    till.lane.lenders.install_keys(LENDER, key_list(2, fresh="fresh", revoked=(trust.Role.TIME,)))
    assert not till.tell_time(NOW_S + 5)


def test_a_list_of_another_lender_is_refused_even_if_both_have_one_root(till: Till) -> None:
    keys = trust.KeyList("otherlend", 7, NOW_S, NOW_S + DAY_S, (), "CNY")
    with pytest.raises(UntrustedDocument):
        till.lane.lenders.install_keys(LENDER, trust.sign_key_list(keys, ROOTS[0]))
    assert till.lane.lenders.first.keys.version == 1
