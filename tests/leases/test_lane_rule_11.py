"""Lease rule 11 at the lane: a ledger that was put back stands in for nobody until the backend has confirmed its head.

*(A backup of Monday is put back on Tuesday: the lane has forgotten what it spent, and would spend it again.)*
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.core.journal import Kind, Position, open_entry
from agent.core.witness import Doubt, Witnessed
from agent.errors import LeftBefore, NothingToRecover, UplinkUnavailable
from agent.ports import QueueException
from agent.services.forwarding import Forwarding, SignedUpload
from agent.uplink.remote import BackendRefused
from tests.services.lanes import CUSTOMER, LENDER, PaperWitness, Till, order
from tests.uplink.world import run

HELD = 10_000


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    till = Till(tmp_path, grants={CUSTOMER: HELD})
    till.witness = PaperWitness()
    till.restart()
    yield till
    till.close()


def sell(till: Till, minor: int = 100) -> str:
    name = f"sale-{till.backend.pokes:04}-{till.ledger.head.number:05}"
    reason: str = run(till.checkout.sell(order(name, minor), till.phone().code())).reason
    return reason


def upload(till: Till, *, older: bool = False) -> SignedUpload | None:
    return till.lane.forwarding.next_upload(1_000, 1 << 20, older=older)


def acknowledge(forwarding: Forwarding, sent: SignedUpload | None, through: int | None = None) -> None:
    assert sent is not None
    last = sent.first + len(sent.entries) - 1
    forwarding.acknowledged(sent.epoch, last if through is None else through, [])


def put_back_after_a_sale(till: Till) -> int:
    """A backup, a sale of all that was left, the backup again; returns where the backend then is."""
    backup = till.disk.after_kill()
    assert sell(till, HELD) == "approved_offline"
    acknowledge(till.lane.forwarding, upload(till))
    number = till.ledger.head.number
    run(till.lane.maintain())
    till.put_back(backup)
    return number


# -- without a network ----------------------------------------------------------------------------------------------


def test_an_older_ledger_beside_its_witness_stands_in_for_nobody_not_even_after_a_restart(till: Till) -> None:
    put_back_after_a_sale(till)
    for _ in range(2):
        assert till.lane.witness.doubt is Doubt.OLDER
        assert sell(till) == "journal_fork"
        assert upload(till) is None
        till.restart()


def test_sales_that_nobody_but_the_lost_ledger_knew_do_not_free_the_lease_that_paid_for_them(till: Till) -> None:
    """They never reached the backend, which would confirm the older head: only a new epoch ends this."""
    backup = till.disk.after_kill()
    assert sell(till, HELD) == "approved_offline"
    run(till.lane.maintain())
    till.put_back(backup)
    till.lane.forwarding.acknowledged(1, till.ledger.head.number, [])
    assert sell(till, HELD) == "journal_fork"


def test_a_cold_start_without_a_network_sells(till: Till) -> None:
    sell(till)
    till.restart()
    assert till.lane.witness.doubt is None
    assert sell(till) == "approved_offline"


def test_a_witness_that_is_behind_after_a_power_cut_is_no_doubt(till: Till) -> None:
    said = till.witness.said if till.witness else None
    sell(till)
    assert till.witness and till.witness.said == said, "it looks in quiet moments, not at every sale"
    till.restart()
    assert till.lane.witness.doubt is None


def test_a_ledger_on_another_machine_is_in_doubt(till: Till) -> None:
    assert till.witness
    till.witness.machine = b"another machine"
    till.restart()
    assert (till.lane.witness.doubt, sell(till)) == (Doubt.OTHER_MACHINE, "head_unconfirmed")


def test_a_ledger_whose_witness_is_gone_is_in_doubt(till: Till) -> None:
    till.witness = PaperWitness()
    till.restart()
    assert (till.lane.witness.doubt, sell(till)) == (Doubt.NO_WITNESS, "head_unconfirmed")


def test_a_journal_that_begins_anew_is_in_doubt_until_the_backend_confirms_it_however_often_it_starts(
    till: Till,
) -> None:
    """Ledger and witness are lost; the leases in its snapshots may be spent."""
    till.witness = PaperWitness()
    till.put_back({})
    for _ in range(2):
        assert (till.lane.witness.doubt, sell(till)) == (Doubt.FIRST_START, "head_unconfirmed")
        till.restart()
    acknowledge(till.lane.forwarding, upload(till))
    till.restart()
    assert till.lane.witness.doubt is None


def test_a_lane_whose_witness_cannot_be_written_is_confirmed_once_and_then_starts_without_a_network(till: Till) -> None:
    till.witness = ForgetfulWitness()
    till.put_back({})
    acknowledge(till.lane.forwarding, upload(till))
    till.restart()
    assert till.lane.witness.doubt is None


class ForgetfulWitness(PaperWitness):
    """Its place cannot be written."""

    def write(self, said: Witnessed) -> bool:
        return False


def test_a_journal_that_begins_where_a_longer_one_was_is_in_doubt(till: Till) -> None:
    run(till.lane.maintain())
    till.put_back({})
    assert till.lane.witness.doubt is Doubt.OLDER


def test_a_ledger_with_other_entries_than_the_witness_saw_is_in_doubt(till: Till) -> None:
    backup = till.disk.after_kill()
    sell(till, 100)
    run(till.lane.maintain())
    till.witness, seen = None, till.witness
    till.put_back(backup)
    for _ in range(3):
        sell(till, 200)
    till.witness = seen
    till.restart()
    assert till.lane.witness.doubt is Doubt.OTHER_ENTRIES


# -- with the backend -----------------------------------------------------------------------------------------------


def test_a_head_that_the_backend_confirms_once_ends_the_doubt_for_good(till: Till) -> None:
    acknowledge(till.lane.forwarding, upload(till))
    till.witness = PaperWitness()
    till.restart()
    sent = upload(till)
    assert sent and sent.first == till.ledger.head.number, "all is acknowledged: the last entry asks"
    acknowledge(till.lane.forwarding, sent)
    assert sell(till) == "approved_offline"
    till.restart()
    assert sell(till) == "approved_offline"


def test_a_ledger_that_is_behind_is_found_by_the_first_answer_though_it_wrote_nothing_new(till: Till) -> None:
    till.witness = None
    number = put_back_after_a_sale(till)
    acknowledge(till.lane.forwarding, upload(till), through=number)
    assert till.lane.forwarding.fork
    assert upload(till) is None
    assert sell(till) == "journal_fork"
    till.restart()
    assert sell(till) == "journal_fork"


def test_without_a_witness_too_a_ledger_that_is_behind_is_found(till: Till) -> None:
    till.witness = None
    till.restart()
    number = put_back_after_a_sale(till)
    sell(till)
    acknowledge(till.lane.forwarding, upload(till), through=number + 5)
    assert sell(till) == "journal_fork"


def forked(till: Till, *, number: int | None = None) -> None:
    """A put back ledger that has recorded a decline since, and whose backend, which ends at ``number``, has said so."""
    till.witness = None
    if number is None:
        number = put_back_after_a_sale(till)
        sell(till)
    till.lane.forwarding.forked(1, number + 1, b"h" * 32)
    till.backend.available = True
    digest = urlsafe_b64encode(b"h" * 32).rstrip(b"=").decode()
    till.backend.new_epoch = {"epoch": 2, "previous": {"epoch": 1, "number": number, "hash": digest}}


def test_both_heads_are_shown_before_a_person_decides(till: Till) -> None:
    with pytest.raises(NothingToRecover):
        till.lane.restoration.heads()
    forked(till)
    heads = till.lane.restoration.heads()
    assert (heads.epoch, heads.number, heads.head) == (1, till.ledger.head.number, till.ledger.head.hash.hex())
    assert heads.backend_head == (b"h" * 32).hex()


def test_a_new_epoch_begins_with_how_the_old_one_ended_and_the_old_one_is_still_sent(till: Till) -> None:
    forked(till)
    old = till.ledger.head
    run(till.lane.restoration.begin_again(LENDER))
    assert till.ledger.head.position == Position(2, 1)
    sent = upload(till)
    assert sent and (sent.epoch, sent.first) == (2, 1)
    first = open_entry(sent.entries[0]).entry
    assert (first.kind, first.body["reason"]) == (Kind.EPOCH_START, "restored")
    assert till.backend.new_epoch and first.body["previous"]["number"] == till.backend.new_epoch["previous"]["number"]
    assert (first.body["previous"]["epoch"], first.body["previous"]["hash"]) == (1, b"h" * 32)
    kept = upload(till, older=True)
    assert kept and (kept.epoch, kept.first + len(kept.entries) - 1) == (1, old.number)
    till.lane.forwarding.acknowledged(1, old.number, [(old.number, "quarantined", "forked")])
    assert upload(till, older=True) is None
    assert ("quarantined", "forked") in {(item.state, item.reason) for item in till.ledger.queue_exceptions()}


def test_of_an_old_epoch_all_is_sent_though_the_backend_has_more_of_it(till: Till) -> None:
    """It had more when the lane was recovered; that nobody has to be told twice."""
    forked(till)
    ahead = till.ledger.head.number + 5
    run(till.lane.restoration.begin_again(LENDER))
    acknowledge(till.lane.forwarding, upload(till, older=True), through=ahead)
    acknowledge(till.lane.forwarding, upload(till))
    assert (till.lane.forwarding.depth, till.lane.forwarding.fork) == (0, None)


def test_what_the_backend_says_of_an_entry_that_was_forgotten_does_not_hide_the_fork(till: Till) -> None:
    till.witness = None
    number = put_back_after_a_sale(till)
    acknowledge(till.lane.forwarding, upload(till), through=number)
    next_one = Position(1, till.ledger.head.number + 1)
    till.lane.forwarding.found_later([QueueException(next_one, "disputed", "account_blocked")], "1")
    till.restart()
    assert sell(till) == "journal_fork"


def test_the_leases_of_the_old_epoch_are_not_spent_again_and_those_of_the_new_one_are(till: Till) -> None:
    forked(till)
    run(till.lane.restoration.begin_again(LENDER))
    till.backend.available = False
    assert sell(till) == "snapshot_missing"
    till.restart()
    assert sell(till) == "snapshot_missing"
    till.install({CUSTOMER: 500}, lease_epoch=2)
    assert sell(till, 400) == "approved_offline"


def test_an_account_that_only_an_old_layer_knows_has_no_lease(till: Till) -> None:
    """A delta of the new epoch upon a base of the old one."""
    forked(till)
    run(till.lane.restoration.begin_again(LENDER))
    till.backend.available = False
    till.install({b"somebody" * 2: 500}, lease_epoch=2, delta=True)
    assert sell(till) == "lease_exceeded"


@pytest.mark.parametrize("dies_after", ["the request", "the answer"])
def test_a_recovery_that_is_interrupted_is_repeated_with_the_same_request(till: Till, dies_after: str) -> None:
    forked(till)
    answer = till.backend.open_epoch

    async def interrupted(body: Mapping[str, Any]) -> Mapping[str, Any]:
        if dies_after == "the answer":
            await answer(body)
        else:
            till.backend.epochs_asked.append(body)
        raise UplinkUnavailable("cut")

    till.backend.open_epoch = interrupted  # type: ignore[method-assign]
    with pytest.raises(UplinkUnavailable):
        run(till.lane.restoration.begin_again(LENDER))
    till.backend.open_epoch = answer  # type: ignore[method-assign]
    till.restart()
    sell(till)
    run(till.lane.restoration.begin_again(LENDER))
    assert till.ledger.head.epoch == 2
    assert till.backend.epochs_asked[0] == till.backend.epochs_asked[-1]


def test_a_batch_of_the_old_epoch_that_differs_is_no_error_of_the_lane_any_more(till: Till) -> None:
    sell(till)
    run(till.lane.settlement.close_day(LENDER))
    till.ledger.record_match(LENDER, 1, "different")
    assert till.ledger.differing_batches() == 1
    forked(till, number=till.ledger.head.number)
    run(till.lane.restoration.begin_again(LENDER))
    assert till.ledger.differing_batches() == 0


def test_an_even_older_copy_of_a_lane_that_was_recovered_is_told_to_enroll_anew(till: Till) -> None:
    forked(till)

    async def refused(_: Mapping[str, Any]) -> Mapping[str, Any]:
        raise BackendRefused("idempotency_conflict", "epoch 1 was left with another request", {})

    till.backend.open_epoch = refused  # type: ignore[method-assign]
    with pytest.raises(LeftBefore) as told:
        run(till.lane.restoration.begin_again(LENDER))
    assert "enroll --replace" in told.value.hint


def test_a_batch_that_was_open_ends_with_its_epoch(till: Till) -> None:
    forked(till)
    till.backend.available = False
    before = till.ledger.open_batch(LENDER)
    till.backend.available = True
    run(till.lane.restoration.begin_again(LENDER))
    after = till.ledger.open_batch(LENDER)
    assert (after.batch, after.first_number) in {(before.batch + 1, 1), (before.batch, 1)}
    assert till.ledger.verify() == till.ledger.head
