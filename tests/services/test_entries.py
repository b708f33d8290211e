"""The entries that a lane writes have exactly the fields that the journal documents: the backend reads them by name."""

from agent.core.journal import BODIES, Kind
from agent.core.money import Money
from agent.core.operators import Operator, Role
from agent.services.offers import Wish
from agent.services.operators import OperatorDesk
from agent.store.operator_file import OperatorFile
from tests.services.lanes import CUSTOMER, STRANGER, Till, approved, declined, order
from tests.services.test_printing import print_for
from tests.uplink.world import run, run_real

RESTORES = ("account", "lease")
"""Besides the rest, in a reversal or a capture that restores the lease."""


def live(till: Till) -> None:
    """A day with every ending that a sale can have."""

    def sell(number: int, account: bytes = CUSTOMER, minor: int = 100, **fields: str) -> None:
        phone = till.phone(account, cap_minor=200)
        run(till.checkout.sell(order(f"sale-{number:04}", minor, **fields), phone.code()))

    sell(1)
    sell(2, STRANGER)
    sell(3, capture="later")
    holds = till.lane.holds
    run(holds.reverse("sale-0003", "customer_left"))
    run(holds.void("sale-0001", "wrong_item"))
    for number in (18, 19):
        sell(number, capture="later")
    run(holds.capture("sale-0018", 60))
    run(till.lane.slip_refunds.refund(till.lender.name, "lane-02", "sale-0001", Money(10, "CNY"), "r-1"))
    run(holds.refund("sale-0018", 10, request="r-1", reason="returned"))
    till.clock.pass_time(till.lane.lenders.first.policy.limits.hold_valid_s)
    till.tell_time()
    run(holds.expire_due())
    till.install({CUSTOMER: 10_000}, built_at=till.clock.wall)
    sell(4, minor=90_000)
    run(till.checkout.sell(order("sale-0005", 100), till.phone().code(age_s=3_000)))
    till.backend.available = True
    till.backend.answer = approved({"amount": {"minor": 100, "currency": "CNY"}}, used_minor=100)
    sell(6)
    till.backend.answer = declined()
    sell(7)
    till.backend.available = False
    run(till.checkout.sell(order("sale-0008", 100, wish=Wish("next-month")), till.phone().code()))
    print_for(till, 1.0)
    run(till.lane.settlement.close_day(till.lender.name))
    till.lane.lenders.install_keys(till.lender.name, till.lender.key_list(2))
    sell(9, minor=9_000)
    till.lane.leases.ask_for_more()
    till.lane.leases.give_back(till.lender.name, CUSTOMER, 100)
    till.lane.shifts.open("12", 20_000, "CNY")
    till.lane.shifts.close(20_000, 0)
    operated(till)


def operated(till: Till) -> None:
    """A cashier signs in."""
    book = OperatorFile(till.directory / "operators.json")
    book.change("12", lambda _: Operator("12", Role.CASHIER, book.hashed("2468")))
    desk = OperatorDesk(book, till.ledger, lambda: till.lane.clock.read(till.lender.name), till.clock, bytes)
    run_real(desk.sign_in("12", "2468"))


def test_every_entry_has_the_fields_that_are_documented_and_no_other(till: Till) -> None:
    live(till)
    entries = [sealed.entry for sealed in till.entries()]
    for entry in entries:
        restores = RESTORES if entry.kind in (Kind.REVERSAL, Kind.CAPTURE) and "lease" in entry.body else ()
        assert set(entry.body) == {*BODIES[Kind(entry.kind)], *restores}, entry.kind
    assert {entry.kind for entry in entries} == set(Kind)
    assert set(BODIES) == set(Kind)
    reasons = {entry.body["reason"] for entry in entries if entry.kind == Kind.DECLINE}
    assert len(reasons) == 2, "declined by a rule, and before any rule was asked"
