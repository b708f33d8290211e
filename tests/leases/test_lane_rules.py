"""Lease rules at the lane. One test for each interleaving that breaks a naive design; amounts are minor units."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.authorization import HoldState
from agent.core.journal import Kind
from agent.errors import UplinkRefused, UplinkUnavailable
from agent.ports import AttemptUnknown
from agent.services.hold_desk import Refused
from tests.services.lanes import CUSTOMER, DAY_S, LENDER, NOW_S, Till, approved, declined, order
from tests.uplink.world import run

Opened = Callable[..., Till]


def sell(till: Till, minor: int, sale_id: str = "", *, at: int | None = None, **fields: Any) -> Any:
    name = sale_id or f"sale-{len(till.entries()):04}"
    return run(till.checkout.sell(order(name, minor, **fields), till.phone().code(at=at)))


@pytest.fixture
def hundred(opened: Opened) -> Till:
    """limit = lease = 100, the line is up."""
    till = opened(grants={CUSTOMER: 100})
    till.backend.available = True
    return till


# -- rule 1: lapse ------------------------------------------------------------------------------------------------


def test_rule_1_a_lapsed_lease_is_not_spent_and_not_even_when_the_clock_goes_back(opened: Opened) -> None:
    till = opened(valid_s=3_600)
    till.clock.pass_time(3_599)
    assert sell(till, 100).reason == "approved_offline"
    till.clock.pass_time(1)
    assert sell(till, 100).reason == "lease_lapsed"
    assert till.tell_time(NOW_S + 10), "the lender itself says that it is earlier"
    assert till.lane.clock.read(LENDER).now_s == NOW_S + 10
    assert sell(till, 100, at=NOW_S + 10).reason == "lease_lapsed"


def test_rule_1_every_entry_carries_the_horizon_and_it_is_the_trusted_time(till: Till) -> None:
    sell(till, 100)
    till.clock.pass_time(60)
    sell(till, 100)
    horizons = [sealed.entry.lease_horizon for sealed in till.entries() if sealed.entry.lender == LENDER]
    assert horizons == sorted(horizons) and horizons[-1] == NOW_S + 60


def test_rule_1_an_untrusted_clock_moves_no_horizon(till: Till) -> None:
    till.restart(wall_s=NOW_S + 400 * DAY_S)
    sell(till, 100)
    assert till.ledger.head.horizon_of(LENDER) == NOW_S


def test_rule_1_a_lease_that_lapses_while_the_backend_is_asked_is_not_used_to_stand_in(opened: Opened) -> None:
    till = opened(valid_s=3_600)
    till.clock.pass_time(3_599)
    till.backend.available = True

    async def slowly(_: Mapping[str, Any]) -> None:
        till.clock.pass_time(2)

    till.backend.answer = slowly
    assert sell(till, 100).reason == "lease_lapsed"
    assert till.left() == 10_000


# -- rule 2: a newer layer ----------------------------------------------------------------------------------------


def test_rule_2_a_layer_installed_while_the_backend_is_asked_is_the_one_that_counts(hundred: Till) -> None:
    """Layer 1 grants 100; layer 2 grants 20, is installed and told of while the answer is awaited, 80 are granted to
    another lane; the answer is lost: standing in with the 100 of before would make 180."""

    async def meanwhile(_: Mapping[str, Any]) -> None:
        hundred.install({CUSTOMER: 20}, applied_through={"lane-01": (1, 0)})

    hundred.backend.answer = meanwhile
    hold = sell(hundred, 80)
    assert (hold.state, hold.reason) == (HoldState.DECLINED, "lease_exceeded")
    assert hundred.left() == 20


def test_rule_2_an_account_that_a_newer_layer_removed_is_not_approved_any_more(hundred: Till) -> None:
    async def meanwhile(_: Mapping[str, Any]) -> None:
        hundred.install({CUSTOMER: 0}, delta=True, flags={"removed": True})

    hundred.backend.answer = meanwhile
    assert sell(hundred, 80).reason == "no_record"


def test_rule_2_an_installed_layer_is_told_to_the_backend_before_the_first_sale_uses_it(till: Till) -> None:
    till.install({CUSTOMER: 500})
    sell(till, 400)
    kinds = [sealed.entry.kind for sealed in till.entries()]
    assert kinds[-3:] == [Kind.SNAPSHOT_INSTALLED, Kind.AUTHORIZATION, Kind.CAPTURE]


# -- rule 3: applied_through --------------------------------------------------------------------------------------


def test_rule_3_what_was_spent_after_the_layers_number_is_subtracted(till: Till) -> None:
    """Account feed cut before the sale, installed after it: the sale is not forgotten."""
    cut_at = tuple(till.ledger.head.position)
    sell(till, 6_000)
    till.install({CUSTOMER: 10_000}, applied_through={"lane-01": cut_at})
    assert till.left() == 4_000
    assert sell(till, 4_001).reason == "lease_exceeded"
    assert sell(till, 4_000).reason == "approved_offline"


def test_rule_3_what_the_layer_includes_is_not_subtracted_twice(till: Till) -> None:
    sell(till, 6_000)
    till.install({CUSTOMER: 4_000})
    assert sell(till, 4_000).reason == "approved_offline"


def test_rule_3_the_number_of_the_layer_that_supplied_the_record_counts(till: Till) -> None:
    """A delta that does not touch the account has a newer number; the base's record counts from its own."""
    sell(till, 6_000)
    till.install({b"somebody" * 2: 77}, delta=True)
    assert till.left() == 4_000
    assert sell(till, 4_001).reason == "lease_exceeded"


# -- rule 5: online sales of a leased account -----------------------------------------------------------------------


def test_rule_5_the_intent_debits_before_the_request_leaves_and_the_request_says_so(hundred: Till) -> None:
    seen: list[int] = []

    async def look(request: Mapping[str, Any]) -> Any:
        assert hundred.kinds(request["sale_id"]) == [Kind.ONLINE_INTENT]
        assert request["lease"] == {"epoch": 1, "debit_minor": 70}
        assert request["intent_number"] == hundred.ledger.head.number
        seen.append(hundred.left())
        return declined()

    hundred.backend.answer = look
    sell(hundred, 70)
    assert seen == [30]


def test_rule_5_a_time_out_stands_in_with_the_same_debit_and_a_second_sale_cannot_use_it(hundred: Till) -> None:
    hundred.backend.answer = None
    first = sell(hundred, 100)
    assert (first.state, first.mode, first.lease_minor) == (HoldState.CAPTURED, "stand_in", 100)
    assert (hundred.left(), first.open_debit_minor) == (0, 0)
    assert sell(hundred, 1).reason == "lease_exceeded"


def test_rule_5_an_answer_that_used_30_of_100_frees_70(hundred: Till) -> None:
    async def used_30(request: Mapping[str, Any]) -> Any:
        return approved(request, used_minor=30)

    hundred.backend.answer = used_30
    assert sell(hundred, 100).lease_minor == 30
    assert hundred.left() == 70
    hundred.backend.available = False
    assert sell(hundred, 71).reason == "lease_exceeded"
    assert sell(hundred, 70).reason == "approved_offline"


def test_rule_5_a_decline_frees_the_whole_debit(hundred: Till) -> None:
    hundred.backend.answer = declined("51")
    assert sell(hundred, 100).response_code == "51"
    assert hundred.left() == 100


def test_rule_5_a_sale_above_the_debit_is_not_approved_alone(hundred: Till) -> None:
    hundred.backend.answer = None
    assert sell(hundred, 101).reason == "lease_exceeded"
    assert hundred.left() == 100


def test_rule_5_an_answer_that_used_more_than_the_debit_is_no_answer(hundred: Till) -> None:
    async def liar(request: Mapping[str, Any]) -> Any:
        return approved(request, used_minor=101)

    hundred.backend.answer = liar
    hold = sell(hundred, 100)
    assert (hold.mode, hold.lease_minor, hundred.left()) == ("stand_in", 100, 0)


# -- rule 6: unknown outcomes ---------------------------------------------------------------------------------------

UNKNOWN: dict[str, tuple[Any, bool]] = {
    "no answer in time": (None, True),
    "the backend refuses to decide": (UplinkRefused("no"), True),
    "an answer about another amount": (approved({"amount": {"minor": 1, "currency": "CNY"}}), True),
    "nothing left this machine": (UplinkUnavailable("down"), False),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_rule_6_the_lanes_outcome_says_whether_the_backend_may_have_another(hundred: Till, name: str) -> None:
    hundred.backend.answer, is_unknown = UNKNOWN[name]
    for minor, kind in ((100, Kind.AUTHORIZATION), (101, Kind.DECLINE)):
        sale_id = f"sale-{minor:05}"
        sell(hundred, minor, sale_id)
        last = hundred.entries(kind)[-1].entry
        assert (last.sale_id, last.body["online_unknown"]) == (sale_id, is_unknown)


# -- rule 7: attempts -----------------------------------------------------------------------------------------------


def test_rule_7_a_new_attempt_waits_until_the_outcome_of_the_last_is_known(hundred: Till) -> None:
    hundred.backend.answer = RuntimeError("the process dies here")
    with pytest.raises(RuntimeError):
        sell(hundred, 100, "sale-0001")
    hundred.restart()
    hundred.backend.known, hundred.backend.answer = AttemptUnknown(), declined("51")
    sell(hundred, 100, "sale-0001")
    first, second = hundred.ledger.attempts("sale-0001")
    assert (first.attempt, first.reason) == (1, "interrupted")
    assert (second.attempt, second.response_code) == (2, "51")
    assert hundred.kinds("sale-0001") == [
        Kind.ONLINE_INTENT,
        Kind.DECLINE,
        Kind.ONLINE_INTENT,
        Kind.ONLINE_OUTCOME,
    ]
    assert hundred.backend.inquiries == [(LENDER, "sale-0001", 1)]


# -- rule 9: what restores a lease ------------------------------------------------------------------------------------


def test_rule_9_a_reversal_under_an_open_epoch_restores_the_lease(till: Till) -> None:
    sell(till, 6_000, "sale-0001", capture="later")
    run(till.lane.holds.reverse("sale-0001", "cashier"))
    assert till.left() == 10_000
    assert sell(till, 10_000).reason == "approved_offline"


def test_rule_9_a_reversal_under_a_closed_epoch_restores_nothing(till: Till) -> None:
    """The new epoch's grant was cut from credit that did not count the old one: giving back would grant it twice."""
    sell(till, 6_000, "sale-0001", capture="later")
    till.install({CUSTOMER: 4_000}, lease_epoch=2)
    run(till.lane.holds.reverse("sale-0001", "cashier"))
    assert till.entries(Kind.REVERSAL)[0].entry.body.get("lease") is None
    assert till.left() == 4_000


def test_rule_9_a_reversal_is_made_once_and_a_capture_ends_it(till: Till) -> None:
    sell(till, 6_000, "sale-0001", capture="later")
    for _ in range(2):
        assert run(till.lane.holds.reverse("sale-0001", "x")).state is HoldState.REVERSED
    assert len(till.entries(Kind.REVERSAL)) == 1
    assert run(till.lane.holds.capture("sale-0001")) == Refused("sale_reversed")
    sell(till, 1_000, "sale-0002")
    assert run(till.lane.holds.reverse("sale-0002", "x")) == Refused("sale_captured")
    assert till.left() == 9_000


def test_rule_9_an_online_sale_gives_back_what_it_took_of_the_lease_and_never_available_credit(hundred: Till) -> None:
    async def used_30(request: Mapping[str, Any]) -> Any:
        return approved(request, used_minor=30)

    hundred.backend.answer = used_30
    sell(hundred, 100, "sale-0001", capture="later")
    run(hundred.lane.holds.reverse("sale-0001", "cashier"))
    assert hundred.left() == 100


# -- rule 14: the clock -----------------------------------------------------------------------------------------------


def test_rule_14_no_signed_time_no_stand_in(opened: Opened) -> None:
    till = opened(ready=False)
    till.lane.lenders.install_policy(LENDER, till.lender.policy())
    till.install({CUSTOMER: 10_000})
    hold = sell(till, 100)
    assert (hold.reason, hold.response_code) == ("clock_untrusted", "96")


@pytest.mark.parametrize(
    ("moved_s", "reason"),
    [
        (60, "approved_offline"),
        (2 * DAY_S - 60, "approved_offline"),
        (3 * DAY_S + 1, "clock_untrusted"),
        (-1, "clock_untrusted"),
        (-NOW_S, "clock_untrusted"),
        (400 * DAY_S, "clock_untrusted"),
    ],
)
def test_rule_14_after_a_restart_the_wall_clock_is_believed_within_the_holdover(
    till: Till, moved_s: int, reason: str
) -> None:
    till.restart(wall_s=NOW_S + moved_s)
    is_true = reason == "approved_offline"
    assert sell(till, 100, at=NOW_S + (moved_s if is_true else 0)).reason == reason


def test_rule_14_a_wall_clock_behind_the_last_entry_is_not_believed_after_a_restart(till: Till) -> None:
    """Signed time, a day offline with sales, a power cut and an empty battery: the clock starts at yesterday."""
    till.clock.pass_time(DAY_S)
    sell(till, 100)
    till.restart(wall_s=NOW_S + 3_600)
    hold = sell(till, 100)
    assert (hold.reason, hold.response_code) == ("clock_untrusted", "96")


def test_rule_14_a_signed_time_of_another_question_or_another_lender_is_not_taken(till: Till) -> None:
    forwarding, lender = till.lane.forwarding, till.lender
    nonce = forwarding.ask_time(LENDER)
    for document in (
        lender.signed_time(b"x" * 16, NOW_S),
        lender.signed_time(nonce, NOW_S, lender="other"),
        lender.signed_time(nonce, 0),
        b"junk",
    ):
        nonce = forwarding.ask_time(LENDER)
        assert not forwarding.signed_time(LENDER, nonce, document)
    nonce = forwarding.ask_time(LENDER)
    till.clock.pass_time(6)
    assert not forwarding.signed_time(LENDER, nonce, lender.signed_time(nonce, NOW_S)), "it took too long"
    nonce = forwarding.ask_time(LENDER)
    assert forwarding.signed_time(LENDER, nonce, lender.signed_time(nonce, NOW_S + 6))
    assert not forwarding.signed_time(LENDER, nonce, lender.signed_time(nonce, NOW_S + 6)), "an answer counts once"


# -- all of them together -------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("stand_in"), st.integers(1, 60)),
        st.tuples(st.just("approved_online"), st.integers(1, 60)),
        st.tuples(st.just("declined_online"), st.integers(1, 60)),
        st.tuples(st.just("timed_out"), st.integers(1, 60)),
        st.tuples(st.just("reverse"), st.integers(0, 9)),
        st.tuples(st.just("install"), st.integers(0, 3)),
        st.tuples(st.just("install_while_asked"), st.integers(1, 60)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=9,
)


class Model:
    """One account of limit 100, all of it leased to this lane: the money of which nothing may appear or vanish."""

    def __init__(self, till: Till) -> None:
        self.till, self.spent, self.reversible = till, 0, list[tuple[str, int]]()
        self.history = [(tuple(till.ledger.head.position), 0)]
        self.number = 0

    def sale(self, answer: Any, minor: int) -> None:
        self.number += 1
        sale_id = f"sale-{self.number:04}"
        self.till.backend.available, self.till.backend.answer = answer != "stand_in", answer
        wanted = self.spent + minor <= 100
        hold = run(self.till.checkout.sell(order(sale_id, minor, capture="later"), self.till.phone().code()))
        if answer is not None and isinstance(answer, Mapping):
            wanted = False
        assert hold.is_approved == wanted, f"{hold.reason}: {self.spent} of 100 spent, {minor} asked"
        if hold.is_approved:
            self.spent += minor
            self.reversible.append((sale_id, minor))

    def approve_online(self, minor: int) -> None:
        async def from_lease(request: Mapping[str, Any]) -> Any:
            debit = request["lease"]["debit_minor"] if request["lease"] else 0
            return approved(request, used_minor=minor) if debit >= minor else declined()

        self.sale(from_lease, minor)

    def install_while_asked(self, minor: int) -> None:
        async def meanwhile(_: Mapping[str, Any]) -> None:
            self.install(0)

        self.sale(meanwhile, minor)

    def reverse(self, which: int) -> None:
        if self.reversible:
            sale_id, minor = self.reversible.pop(which % len(self.reversible))
            run(self.till.lane.holds.reverse(sale_id, "x"))
            self.spent -= minor

    def install(self, back: int) -> None:
        """A layer whose figures are those of some earlier entry: what the lane did later, it must subtract itself."""
        at, spent = self.history[-min(back + 1, len(self.history))]
        self.till.install({CUSTOMER: 100 - spent}, applied_through={"lane-01": at})

    def step(self, what: str, figure: int) -> None:
        match what:
            case "stand_in":
                self.sale("stand_in", figure)
            case "approved_online":
                self.approve_online(figure)
            case "declined_online":
                self.sale(declined(), figure)
            case "timed_out":
                self.sale(None, figure)
            case "restart":
                self.till.restart()
            case _:
                getattr(self, what)(figure)
        assert self.till.left() == 100 - self.spent
        self.history.append((tuple(self.till.ledger.head.position), self.spent))


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_no_order_of_sales_outcomes_reversals_and_layers_makes_money_appear_or_vanish(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    till = Till(tmp_path_factory.mktemp("lane"), grants={CUSTOMER: 100})
    till.lane.lenders.install_policy(LENDER, till.lender.policy(2, account_consecutive_upper=1_000))
    model = Model(till)
    try:
        for what, figure in steps:
            model.step(what, figure)
        till.ledger.verify()
        assert till.left() == 100 - model.spent
    finally:
        till.close()
