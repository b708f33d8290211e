"""The way to the backend: stored bytes in order, signed for their end, moved on by acknowledgements alone."""

from agent.core import cose
from agent.core.journal import UPLOAD_TYP, Head, Kind, Position, digest, follow, upload_statement
from tests.services.lanes import Till, key, order
from tests.uplink.world import run


def sell(till: Till, count: int) -> None:
    for number in range(count):
        run(till.checkout.sell(order(f"sale-{len(till.entries()):04}-{number}", 1), till.phone().code()))


def test_an_upload_is_the_stored_bytes_in_order_under_a_signature_of_where_they_end(till: Till) -> None:
    sell(till, 3)
    upload = till.lane.forwarding.next_upload(100, 10**6)
    assert upload is not None
    assert list(upload.entries) == [sealed.data for sealed in till.entries()]
    assert len(list(follow(Head("lane-01", 1), upload.entries))) == till.ledger.head.number
    signed = cose.verify1(upload.signature, key("journal").public, typ=UPLOAD_TYP)
    end = Head("lane-01", 1, till.ledger.head.number, digest(upload.entries[-1]))
    assert signed.payload == upload_statement(end, 1, len(upload.entries))


def test_uploads_are_bounded_and_one_large_entry_goes_alone(till: Till) -> None:
    sell(till, 3)
    forwarding, total = till.lane.forwarding, till.ledger.head.number
    assert len(forwarding.next_upload(2, 10**6).entries) == 2  # type: ignore[union-attr]
    assert len(forwarding.next_upload(100, 1).entries) == 1  # type: ignore[union-attr]
    assert total > 3


def test_only_an_acknowledgement_moves_on_and_the_same_upload_is_given_until_then(till: Till) -> None:
    sell(till, 2)
    forwarding = till.lane.forwarding
    first = forwarding.next_upload(2, 10**6)
    assert forwarding.next_upload(2, 10**6) == first
    till.restart()
    forwarding = till.lane.forwarding
    assert forwarding.next_upload(2, 10**6) == first
    forwarding.acknowledged(1, 2, [])
    assert forwarding.next_upload(2, 10**6).first == 3  # type: ignore[union-attr]
    assert forwarding.depth == till.ledger.head.number - 2
    forwarding.acknowledged(1, till.ledger.head.number, [])
    assert forwarding.depth == till.ledger.head.number - 4, "what was never sent is not acknowledged"


def test_what_the_backend_could_not_simply_accept_is_shown_and_does_not_hold_up_the_rest(till: Till) -> None:
    sell(till, 2)
    forwarding = till.lane.forwarding
    upload = forwarding.next_upload(100, 10**6)
    assert upload is not None
    last = upload.first + len(upload.entries) - 1
    results = [(number, "accepted", None) for number in range(1, last - 1)]
    forwarding.acknowledged(1, last, [*results, (last - 1, "disputed", "over_limit"), (last, "parked", None)])
    found = {(item.position, item.state, item.reason) for item in till.ledger.queue_exceptions()}
    assert found == {
        (Position(1, last - 1), "disputed", "over_limit"),
        (Position(1, last), "parked", "parked"),
    }
    assert forwarding.next_upload(100, 10**6) is None
    assert "queue_exceptions" in {condition.code for condition in till.lane.conditions()}


def test_rule_13_a_restored_backend_gets_again_what_it_forgot(till: Till) -> None:
    sell(till, 2)
    forwarding = till.lane.forwarding
    forwarding.next_upload(100, 10**6)
    head = till.ledger.head.number
    forwarding.acknowledged(1, head, [])
    assert forwarding.rewind(1, 3)
    assert forwarding.next_upload(100, 10**6).first == 3  # type: ignore[union-attr]
    assert not forwarding.rewind(1, head + 2), "somebody else used this lane's numbers"


def test_rule_11_after_a_fork_nothing_is_sent_and_nobody_stands_in_not_even_after_a_restart(till: Till) -> None:
    till.lane.forwarding.forked(1, 2)
    for _ in range(2):
        assert till.lane.forwarding.next_upload(100, 10**6) is None
        assert run(till.checkout.sell(order(f"sale-{till.ledger.head.number:05}"), till.phone().code())).reason == (
            "journal_fork"
        )
        found = {condition.code for condition in till.lane.conditions()}
        assert "journal_fork" in found
        assert "queue_exceptions" not in found, "a fork is no disputed entry"
        till.restart()
    assert till.lane.forwarding.fork is not None and till.lane.forwarding.fork.expected == 2


def test_every_record_of_a_sale_asks_the_uplink_to_come(till: Till) -> None:
    run(till.checkout.sell(order(capture="later"), till.phone().code()))
    run(till.lane.holds.capture("sale-0001"))
    assert till.backend.pokes == 2
    assert till.kinds("sale-0001") == [Kind.AUTHORIZATION, Kind.CAPTURE]
