"""Stored first, posted after: whatever is cut off in between, going on gives the same books."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from backend import lanes, poster
from backend.admin import lanes as operators
from backend.database import Contended
from backend.ingest import Upload
from backend.schema import Account, Dispute, Hold, Journal, JournalEntry, LeaseGrant, Posting
from tests.backend.lanes import LENDER, PaperLane, Shop


class PowerCut(BaseException):
    """Planted."""


@pytest.fixture
def opened(books: str) -> Iterator[Shop]:
    shop = _shop(books)
    yield shop
    assert shop.findings() == []
    shop.close()


def _shop(books: str) -> Shop:
    shop = Shop.open(books, 1_000, 1_000, 1_000, allowance_minor=200, lanes="A")
    shop.cut("A")
    shop.lanes["A"].install()
    shop.lanes["A"].upload()
    return shop


def _day(shop: Shop) -> Upload:
    """Sales of three accounts in turns: captured in part, reversed, beyond the lease, refunded."""
    lane = shop.lanes["A"]
    for phone in shop.phones * 2:
        sale = lane.stand_in(60, token=phone.account)
        lane.capture(50, sale, restored_minor=10, token=phone.account)
        lane.reverse(40, lane.stand_in(40, token=phone.account), restored_minor=40, token=phone.account)
        lane.write("refund", {"amount_minor": 20, "currency": "CNY"}, sale)
    lane.stand_in(500)
    return lane.signed_upload()


def _books() -> list[Any]:
    tables: tuple[Any, ...] = (Account, Hold, LeaseGrant, Posting, Dispute, Journal, JournalEntry)
    return [
        [tuple(row) for row in table.select().order_by(*table._meta.get_primary_keys()).tuples()] for table in tables
    ]


def _dies_after(transactions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = vars(poster)["transact"], [transactions]

    def mortal(*args: Any, **kwargs: Any) -> Any:
        if left[0] == 0:
            raise PowerCut
        left[0] -= 1
        return real(*args, **kwargs)

    monkeypatch.setattr(poster, "transact", mortal)


@pytest.fixture
def uncut() -> list[Any]:
    """The books of the same day, posted in one go."""
    whole = _shop(":memory:")
    whole.backend.ingest(_day(whole))
    found = _books()
    whole.close()
    return found


def test_a_cut_between_any_two_accounts_is_made_good(
    uncut: list[Any], opened: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.compose.AT_ONCE_ENTRIES_MAX", -1)
    opened.backend.ingest(_day(opened))
    died = 0
    for transactions in range(1, 50):
        with monkeypatch.context() as patched:
            _dies_after(transactions, patched)
            try:
                opened.backend.post_pending(1_000)
                break
            except PowerCut:
                died += 1
    assert died > 1
    assert _books() == uncut


def test_what_is_stored_and_not_posted_yet_is_acknowledged_and_takes_effect_later(
    opened: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = _day(opened)
    _dies_after(0, monkeypatch)
    with pytest.raises(PowerCut):
        opened.backend.ingest(upload)
    monkeypatch.undo()
    row = lanes.journal("A", 1)
    assert (row.number, row.posted_number) == (upload.last, upload.first - 1)
    assert opened.account().used_minor == 0
    again = json.loads(opened.backend.ingest(upload))
    assert (again["acknowledged_through"], again["posted_through"]) == (upload.last, upload.last)
    assert {result["result"] for result in again["results"]} == {"duplicate", "disputed"}
    assert opened.account().used_minor == 60


def test_a_long_upload_is_answered_before_it_is_posted(opened: Shop) -> None:
    lane = opened.lanes["A"]
    for _ in range(60):
        lane.reverse(1, lane.stand_in(1), restored_minor=1)
    answer = json.loads(opened.backend.ingest(lane.signed_upload()))
    assert answer["posted_through"] < answer["acknowledged_through"] == lane.head.number
    assert {result["result"] for result in answer["results"]} == {"accepted"}
    while opened.backend.post_pending(50):
        pass
    assert lanes.journal("A", 1).posted_number == lane.head.number


def test_an_entry_that_cannot_be_read_is_set_aside_and_later_ones_go_on(opened: Shop) -> None:
    from agent.core import journal
    from agent.core.journal import Head, Sealed

    lane = opened.lanes["A"]
    sealed = lane.write("print", {"job_id": 1})
    broken = sealed.data[:-1] + b"\xff"
    lane.entries[-1] = Sealed(sealed.entry, broken, journal.digest(broken))
    lane.head = Head("A", 1, sealed.entry.number, journal.digest(broken), lane.head.horizons)
    lane.stand_in(10)
    assert lane.upload() == ["parked:entry_malformed", "accepted"]
    assert opened.account().held_minor == 10


def _stumbles(lane: str, error: Exception, at_number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in this program: the effect of one entry of ``lane`` fails, whenever it is tried."""
    real = vars(poster)["_effect"]

    def stumbling(entry: Any, books: Any) -> Any:
        result = real(entry, books)
        if (entry.lane, entry.number) == (lane, at_number):
            raise error
        return result

    monkeypatch.setattr(poster, "_effect", stumbling)


def _two_lanes(books: str) -> tuple[Shop, PaperLane, PaperLane]:
    shop = Shop.open(books, 1_000, allowance_minor=200)
    for name in "AB":
        shop.cut(name)
        shop.lanes[name].install()
        shop.lanes[name].upload()
    return shop, shop.lanes["A"], shop.lanes["B"]


def test_an_entry_whose_effect_fails_stops_its_own_journal_alone_and_takes_effect_once_that_is_mended(
    books: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shop, a, b = _two_lanes(books)
    for lane in (a, b):
        for minor in (10, 20, 30):
            lane.stand_in(minor)
    with monkeypatch.context() as planted, caplog.at_level(logging.ERROR):
        _stumbles("A", LookupError("what a customer bought"), a.head.number - 1, planted)
        answer = json.loads(shop.backend.ingest(a.signed_upload()))
        assert answer["acknowledged_through"] == a.head.number, "the lane's queue empties all the same"
        assert answer["posted_through"] == a.head.number - 2
        planted.setattr("backend.compose.AT_ONCE_ENTRIES_MAX", -1)
        shop.backend.ingest(b.signed_upload())
        while shop.backend.post_pending(2):
            pass
        assert shop.account().held_minor == 10 + 60
    assert [record.getMessage() for record in caplog.records if "what a customer" in record.getMessage()] == []
    [told] = [record.getMessage() for record in caplog.records if record.name == "counterfoil.backend"]
    assert told.startswith(f"the journal A 1 stands still at entry {a.head.number - 1}: LookupError at test_poster.py:")
    first, second = operators.every(shop.backend)["lanes"]  # type: ignore[index]
    assert (first["stopped"], second["stopped"]) == (f"at entry {a.head.number - 1}: LookupError", None)
    assert shop.findings() == [f"A 1 stands still at entry {a.head.number - 1}: LookupError"]
    assert shop.backend.post_pending(100) == 2
    assert (shop.account().held_minor, shop.findings()) == (120, [])
    shop.close()


def test_a_journal_that_others_are_at_leaves_the_next_one_its_turn(books: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, a, b = _two_lanes(books)
    monkeypatch.setattr("backend.compose.AT_ONCE_ENTRIES_MAX", -1)
    for lane in (a, b):
        lane.stand_in(10)
        shop.backend.ingest(lane.signed_upload())
    with monkeypatch.context() as planted:
        _stumbles("A", Contended("an account"), a.head.number, planted)
        with pytest.raises(Contended):
            shop.backend.post_pending(100)
        assert lanes.journal("B", 1).posted_number == b.head.number
    assert shop.backend.post_pending(100) == 1
    assert shop.findings() == []
    shop.close()


REFUNDS: list[tuple[tuple[int, ...], list[str], int]] = [
    ((30,), ["accepted"], 30),
    ((30, 40), ["accepted", "accepted"], 70),
    ((50, 50), ["accepted", "disputed:refund_excess"], 70),
]


@pytest.mark.parametrize(("refunds", "results", "refunded"), REFUNDS)
def test_no_more_is_refunded_than_was_captured(
    opened: Shop, refunds: tuple[int, ...], results: list[str], refunded: int
) -> None:
    lane = opened.lanes["A"]
    sale = lane.stand_in(100)
    lane.capture(70, sale, restored_minor=30)
    lane.upload()
    for amount in refunds:
        lane.write("refund", {"amount_minor": amount, "currency": "CNY"}, sale)
    assert lane.upload() == results
    assert opened.account().used_minor == 70 - refunded
    told = json.loads(opened.backend.refundable("A", "A", sale, LENDER))
    left = {"minor": 70 - refunded, "currency": "CNY"} if refunded < 70 else None
    assert (told["captured"]["minor"], told["refunded"]["minor"], told["refundable"]) == (70, refunded, left)


def test_a_refund_of_repaid_debt_is_owed_to_the_customer(opened: Shop) -> None:
    from backend import accounts

    lane = opened.lanes["A"]
    sale = lane.stand_in(100)
    lane.capture(100, sale)
    lane.upload()
    account = accounts.find(LENDER, opened.token)
    assert account is not None
    accounts.repay(account, 80)
    lane.write("refund", {"amount_minor": 60, "currency": "CNY"}, sale)
    assert lane.upload() == ["accepted"]
    owed = Posting.get(Posting.credit == "owed")
    assert (opened.account().used_minor, owed.minor) == (0, 40)


def test_exceptions_are_told_page_by_page_in_the_order_in_which_they_were_found(opened: Shop) -> None:
    lane: PaperLane = opened.lanes["A"]
    first = lane.stand_in(500)
    lane.upload()
    seen = json.loads(opened.backend.exceptions("A", ""))
    assert [(row["sale_id"], row["reason"], row["amount"]["minor"]) for row in seen["exceptions"]] == [
        (first, "lease_excess", 300)
    ]
    lane.write("teleport", {})
    lane.upload()
    later = json.loads(opened.backend.exceptions("A", seen["cursor"]))
    assert [row["reason"] for row in later["exceptions"]] == ["kind_unknown"]
    assert json.loads(opened.backend.exceptions("A", later["cursor"]))["exceptions"] == []


FEES: list[tuple[int, int, int]] = [(0, 60, 0), (83, 60, 0), (84, 60, 1), (10_000, 60, 60), (1, 10_000, 1)]


@pytest.mark.parametrize(("captured", "basis_points", "fee"), FEES)
def test_a_fee_is_rounded_half_up_once_for_a_batch(captured: int, basis_points: int, fee: int) -> None:
    from backend.settlement import fee_minor

    assert fee_minor(captured, basis_points) == fee
