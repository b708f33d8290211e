"""Promise 4 at the backend: used + held + outstanding of an account never rises above its limit.

One test for each lease rule that the backend keeps; the docstring is the interleaving that breaks a naive design.
Amounts are minor units; every account here has a limit of 100 unless the test says otherwise.
"""

from collections.abc import Callable, Iterator

import pytest

from agent.core.snapshot_reader import DELTAS_MAX
from backend import recovery, snapshots
from backend.database import transaction
from backend.problems import Problem
from backend.schema import Dispute, UsedProof
from backend.snapshots import Plan
from tests.backend.lanes import DAY_S, LENDER, PaperLane, Shop

Opened = Callable[..., Shop]


@pytest.fixture
def opened(books: str) -> Iterator[Opened]:
    shops: list[Shop] = []

    def shop(*limits: int, allowance_minor: int = 100) -> Shop:
        shops.append(Shop.open(books, *(limits or (100,)), allowance_minor=allowance_minor))
        return shops[-1]

    yield shop
    for each in shops:
        assert each.findings() == []
        each.close()


def with_lease(shop: Shop, lane: str, **cut: int) -> PaperLane:
    """The lane with its newest snapshot installed and that told to the backend."""
    shop.cut(lane, **cut)
    shop.lanes[lane].install()
    shop.lanes[lane].upload()
    return shop.lanes[lane]


def test_rule_1_a_silent_lanes_lease_is_not_granted_again_however_late_it_is(opened: Opened) -> None:
    """A approves 100 a minute before lapse and stays cut off; the backend re-grants to B; A uploads: 200 of 100."""
    shop = opened()
    a = with_lease(shop, "A")
    a.stand_in(100)
    shop.clock.now_s += 3 * DAY_S
    b = with_lease(shop, "B")
    assert b.remaining(shop.token) == 0
    assert a.upload() == ["accepted"]
    assert shop.account().held_minor == 100


def test_rule_1_a_lease_lapses_when_the_lane_itself_has_passed_it(opened: Opened) -> None:
    shop = opened()
    a = with_lease(shop, "A")
    shop.clock.now_s += 3 * DAY_S
    assert shop.account().outstanding_minor == 100
    a.write("print", {"job_id": 1, "rung": "confirmed", "copy": False})
    assert shop.account().outstanding_minor == 100, "an entry that was not ingested tells nothing"
    a.upload()
    assert shop.account().outstanding_minor == 0
    assert a.remaining(shop.token) == 0
    assert with_lease(shop, "B").remaining(shop.token) == 100


def test_a_lane_that_asks_for_more_is_granted_its_plan_again_at_once(opened: Opened) -> None:
    shop = opened(1_000)
    a = with_lease(shop, "A")
    a.stand_in(80)
    a.ask_for_more(20)
    assert a.upload() == ["accepted", "accepted"]
    assert (shop.account().outstanding_minor, shop.account().held_minor) == (20, 80), "asking moves nothing"
    assert list(shop.backend.granting_more()) == [1]
    a.install()
    assert a.remaining(shop.token) == 100
    assert list(shop.backend.granting_more()) == [], "one layer for one question"


def test_a_lane_that_asks_for_more_gets_no_more_than_the_limit_leaves(opened: Opened) -> None:
    """used + held + outstanding + what is asked for: 80 held, 20 left at A, nothing else is free."""
    shop = opened()
    a = with_lease(shop, "A")
    a.stand_in(80)
    a.ask_for_more(20)
    a.upload()
    assert list(shop.backend.granting_more()) == [1]
    a.install()
    assert a.remaining(shop.token) == 20


def test_nothing_is_granted_to_who_asks_while_the_backend_is_recovering(opened: Opened) -> None:
    shop = opened(1_000)
    a = with_lease(shop, "A")
    a.stand_in(80)
    a.ask_for_more(20)
    a.upload()
    with transaction(shop.backend.database):
        recovery.begin("put back", now_s=shop.clock.now_s)
    assert list(shop.backend.granting_more()) == []


def test_a_question_about_an_account_that_nobody_knows_is_set_aside(opened: Opened) -> None:
    shop = opened()
    a = with_lease(shop, "A")
    a.ask_for_more(20, token=bytes(16))
    assert a.upload() == ["parked:account_unknown"]
    assert list(shop.backend.granting_more()) == []


def test_a_lane_that_asks_often_is_not_granted_all_of_its_accounts_again_each_time(opened: Opened) -> None:
    shop = opened(100_000)
    a = with_lease(shop, "A", allowance_minor=100)
    cut = []
    for _ in range(DELTAS_MAX + 2):
        a.ask_for_more(20)
        a.upload()
        cut += list(shop.backend.granting_more())
        a.install()
    assert cut == [1] * DELTAS_MAX + [0, 0]
    assert shop.refresh("A") is not None, "a base is due, and comes with the next look at all lanes"


def test_rule_2_the_larger_of_two_snapshots_counts_until_the_lane_says_which_it_uses(opened: Opened) -> None:
    """The lane keeps snapshot 1 with 100, 2 says 20, 80 are re-granted: 180."""
    shop = opened()
    a = with_lease(shop, "A")
    shop.cut("A", allowance_minor=20)
    assert with_lease(shop, "B").remaining(shop.token) == 0
    assert a.remaining(shop.token) == 100
    a.install()
    assert shop.account().outstanding_minor == 100, "installed, but the backend has not been told"
    a.upload()
    assert (a.remaining(shop.token), shop.account().outstanding_minor) == (20, 20)
    assert with_lease(shop, "B").remaining(shop.token) == 80


def test_rule_2_a_lease_counts_from_its_signing_on_delivered_or_not(opened: Opened) -> None:
    shop = opened()
    shop.cut("A")
    assert shop.account().outstanding_minor == 100
    assert with_lease(shop, "B").remaining(shop.token) == 0


def test_rule_3_an_entry_that_arrives_while_a_layer_is_cut_is_not_forgotten(opened: Opened) -> None:
    """Account feed cut at 140, number read later as 200: an entry at 150 is forgotten."""
    shop = opened(1_000)
    a = with_lease(shop, "A")
    lender = shop.backend.lenders[LENDER]
    database = shop.backend.database
    with transaction(database):
        cut = snapshots.begin("A", lender, is_base=True, now_s=shop.clock.now_s)
    assert cut is not None
    a.stand_in(60)
    a.upload()
    snapshots.fill(database, cut, Plan(100))
    a.install()
    assert a.remaining(shop.token) == 40, "the entry lies after applied_through, so the lane subtracts it itself"
    a.upload()
    assert shop.account().outstanding_minor >= 40


def test_rule_3_a_delta_holds_every_account_that_changed_since_the_layer_below(opened: Opened) -> None:
    shop = opened(1_000, 1_000)
    first, second = (phone.account for phone in shop.phones)
    a = with_lease(shop, "A")
    a.stand_in(60, token=second)
    a.upload()
    shop.cut("A", is_base=False)
    a.install()
    assert a.records[first].applied_through < a.records[second].applied_through
    assert (a.remaining(first), a.remaining(second)) == (100, 100)
    a.upload()
    database, lender = shop.backend.database, shop.backend.lenders[LENDER]
    assert snapshots.refresh(database, "A", lender, Plan(100), now_s=shop.clock.now_s) is None


def test_rule_5_an_online_sale_may_use_the_lease_of_its_own_lane(opened: Opened) -> None:
    """limit = lease = 100: online available 0, a wrong 51."""
    shop = opened()
    a = with_lease(shop, "A")
    sale = a.intend(100)
    answer = a.ask(a.request(100, sale))
    assert (answer["approved"], answer["lease_used_minor"]) == (True, 100)
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (100, 0)
    a.note(answer, 100, sale)
    a.upload()
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (100, 0)
    assert a.remaining(shop.token) == 0


def test_rule_5_the_lease_of_another_lane_or_epoch_pays_nothing(opened: Opened) -> None:
    """Using the lease blindly spends it twice."""
    shop = opened()
    with_lease(shop, "A")
    b = shop.lanes["B"]
    stranger = b.request(100, b.new_sale(), lease={"epoch": 1, "debit_minor": 100})
    closed = shop.lanes["A"].request(100, "sale-closed-epoch", lease={"epoch": 2, "debit_minor": 100})
    assert b.ask(stranger)["response_code"] == "51"
    assert shop.lanes["A"].ask(closed)["response_code"] == "51"


def test_rule_5_what_a_debit_did_not_use_is_not_granted_twice_between_intent_and_outcome(opened: Opened) -> None:
    """A snapshot cut between intent and outcome hands out the freed rest twice."""
    shop = opened(100)
    a = with_lease(shop, "A", allowance_minor=80)
    sale = a.intend(60)
    answer = a.ask(a.request(60, sale))
    shop.cut("A", allowance_minor=100)
    a.install()
    assert a.remaining(shop.token) <= 40
    a.note(answer, 60, sale)
    a.upload()
    assert a.remaining(shop.token) == shop.account().outstanding_minor == 40
    a.stand_in(40)
    assert a.upload() == ["accepted"]
    assert shop.account().held_minor == 100


def test_rule_5_a_smaller_grant_between_answer_and_outcome_disputes_nothing(opened: Opened) -> None:
    """The answer used 67 of the lease, then a layer grants 5: the outcome must not be an excess over the 5."""
    shop = opened(171)
    a = with_lease(shop, "A", allowance_minor=145)
    sale = a.intend(67)
    answer = a.ask(a.request(67, sale))
    with_lease(shop, "A", allowance_minor=5)
    with_lease(shop, "B", allowance_minor=150)
    a.note(answer, 67, sale)
    assert a.upload() == ["accepted"]
    a.reverse(67, sale, restored_minor=67)
    assert a.upload() == ["accepted"]
    assert a.remaining(shop.token) == shop.account().outstanding_minor - shop.lanes["B"].remaining(shop.token) == 5


def test_rule_6_both_approved_is_one_hold_of_the_lanes_amount(opened: Opened) -> None:
    """The answer is lost and the lane stands in: two holds of one sale."""
    shop = opened(300)
    a = with_lease(shop, "A")
    sale = a.intend(100)
    assert a.ask(a.request(100, sale))["approved"]
    a.stand_in(100, sale, online_unknown=True)
    assert a.upload() == ["accepted", "accepted"]
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (100, 0)


def test_rule_6_a_lane_that_declines_ends_the_hold_it_never_heard_of(opened: Opened) -> None:
    """Answer lost, lane declines: orphan hold."""
    shop = opened(100)
    a = with_lease(shop, "A", allowance_minor=30)
    sale = a.intend(100)
    raw = a.request(100, sale)
    assert a.ask(raw)["approved"]
    a.decline(100, sale)
    a.upload()
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (0, 30)
    assert a.ask(raw)["approved"], "the stored answer is history, and the lane's journal has overruled it"
    assert shop.account().held_minor == 0


def test_rule_6_a_lanes_approval_stands_although_the_backend_declined(opened: Opened) -> None:
    shop = opened(100)
    a = with_lease(shop, "A")
    sale = a.new_sale()
    assert a.ask(a.request(100, sale))["response_code"] == "51", "no debit, and nothing is available beside the lease"
    a.stand_in(100, sale, online_unknown=True)
    assert a.upload() == ["accepted"]
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (100, 0)


@pytest.mark.parametrize("ending", ["decline", "stand_in", "reverse"])
def test_rule_6_a_request_that_arrives_after_the_lanes_decision_is_declined(opened: Opened, ending: str) -> None:
    """Request delayed past its reversal: a new hold."""
    shop = opened(300)
    a = with_lease(shop, "A")
    sale = a.intend(100)
    late = a.request(100, sale)
    getattr(a, ending)(100, sale)
    a.upload()
    held = shop.account().held_minor
    answer = a.ask(late)
    assert (answer["approved"], answer["response_code"], answer["reason"]) == (False, "94", "tombstoned")
    assert shop.account().held_minor == held


def test_rule_6_an_online_answer_that_was_never_given_spends_the_lease_and_nothing_else(opened: Opened) -> None:
    """A lane's word alone never spends available credit: what it claims beyond its lease is for people to look at.

    (A restored backend that has forgotten its answer sees the same, and must not grant until its lanes have reported.)
    """
    shop = opened(100)
    a = with_lease(shop, "A", allowance_minor=30)
    sale = a.intend(100)
    never_given = {"approved": True, "response_code": "00", "reason": "approved", "lease_used_minor": 30}
    a.note(never_given, 100, sale)
    assert a.upload() == ["accepted", "disputed:online_not_answered"]
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (30, 0)


def test_rule_6_a_lane_cannot_make_an_answer_larger_than_it_was(opened: Opened) -> None:
    shop = opened(1_000)
    a = shop.lanes["A"]
    sale = a.intend(1)
    answer = a.ask(a.request(1, sale))
    a.note(answer | {"lease_used_minor": 0}, 400, sale)
    assert answer["approved"]
    assert a.upload() == ["accepted", "disputed:lease_excess"]
    assert shop.account().held_minor == 1, "at most what was answered"


def test_rule_7_another_attempt_is_another_key_and_a_sale_is_approved_once(opened: Opened) -> None:
    """Step-up or another pass is a new attempt, not a 409."""
    shop = opened(1_000)
    a = shop.lanes["A"]
    sale = a.intend(100)
    answer = a.ask(a.request(100, sale))
    a.decline(100, sale)
    second = a.request(100, sale, attempt=2)
    assert a.ask(second)["approved"], "the first attempt is declined in the journal, which is still on its way"
    assert answer["approved"]
    assert shop.account().held_minor == 200
    a.upload()
    assert shop.account().held_minor == 100


def test_rule_7_no_second_approval_beside_one_that_stands(opened: Opened) -> None:
    shop = opened(1_000)
    a = with_lease(shop, "A")
    sale = a.stand_in(50)
    a.upload()
    assert a.ask(a.request(100, sale, attempt=2))["reason"] == "tombstoned"
    a.stand_in(50, sale, attempt=2)
    assert a.upload() == ["disputed:sale_approved_twice"]


def test_rule_8_giving_back_is_ingested_before_it_is_granted_again(opened: Opened) -> None:
    shop = opened()
    a = with_lease(shop, "A")
    a.give_back(70)
    assert with_lease(shop, "B").remaining(shop.token) == 0
    a.upload()
    assert shop.account().outstanding_minor == a.remaining(shop.token) == 30
    assert with_lease(shop, "B").remaining(shop.token) == 70


def test_rule_8_only_a_signed_layer_grants(opened: Opened) -> None:
    shop = opened()
    a = with_lease(shop, "A")
    a.write("snapshot_installed", {"sequence": 9, "digest": bytes(32)})
    assert a.upload() == ["parked:snapshot_unknown"]
    assert shop.account().outstanding_minor == 100


def test_rule_9_a_reversal_at_the_lane_restores_the_lease_on_both_sides(opened: Opened) -> None:
    shop = opened()
    a = with_lease(shop, "A")
    sale = a.stand_in(60)
    a.upload()
    a.reverse(60, sale, restored_minor=60)
    a.upload()
    assert a.remaining(shop.token) == shop.account().outstanding_minor == 100
    assert shop.account().available_minor == 0


def test_rule_9_a_smaller_capture_restores_its_remainder(opened: Opened) -> None:
    shop = opened()
    a = with_lease(shop, "A")
    sale = a.stand_in(60)
    a.capture(45, sale, restored_minor=15)
    a.upload()
    state = shop.account()
    assert (state.used_minor, state.held_minor, state.outstanding_minor) == (45, 0, 55)
    assert a.remaining(shop.token) == 55


def test_rule_9_what_the_lease_did_not_pay_goes_back_to_available(opened: Opened) -> None:
    shop = opened()
    a = with_lease(shop, "A", allowance_minor=30)
    sale = a.intend(100)
    answer = a.ask(a.request(100, sale))
    a.note(answer, 100, sale)
    a.reverse(100, sale, restored_minor=30)
    a.upload()
    assert (a.remaining(shop.token), shop.account().outstanding_minor, shop.account().available_minor) == (30, 30, 70)


def test_rule_9_more_than_was_spent_is_never_restored(opened: Opened) -> None:
    shop = opened()
    a = with_lease(shop, "A")
    sale = a.stand_in(60)
    a.reverse(100, sale, restored_minor=100)
    assert a.upload() == ["accepted", "parked:body_malformed"]
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (60, 40)


def test_rule_9_a_closed_lease_epoch_restores_nothing(opened: Opened) -> None:
    shop = opened()
    a = with_lease(shop, "A")
    sale = a.stand_in(60)
    a.write(
        "reversal",
        {"amount_minor": 60, "currency": "CNY", "account": shop.token, "lease": {"epoch": 9, "delta_minor": -60}},
        sale,
    )
    assert a.upload() == ["accepted", "parked:lease_epoch_closed"]


def test_rule_10_an_excess_is_shown_to_people_and_never_posted(opened: Opened) -> None:
    shop = opened(300)
    a = with_lease(shop, "A")
    a.stand_in(70)
    a.stand_in(50)
    assert a.upload() == ["accepted", "disputed:lease_excess"]
    assert (shop.account().held_minor, shop.account().outstanding_minor) == (100, 0)
    row = Dispute.get()
    assert (row.amount_minor, row.bearer, bytes(row.account)) == (20, "lender", shop.token)


def test_rule_10_reversing_a_disputed_sale_frees_no_more_than_it_held(opened: Opened) -> None:
    shop = opened(100)
    a = with_lease(shop, "A", allowance_minor=40)
    sale = a.stand_in(100)
    a.upload()
    with_lease(shop, "A", allowance_minor=60)
    a.reverse(100, sale, restored_minor=100)
    assert a.upload() == ["disputed:lease_restore_excess"]
    assert shop.account().available_minor >= 0


def test_the_passes_own_cap_is_a_ledger_apart(opened: Opened) -> None:
    shop = opened(100)
    a = shop.lanes["A"]
    sale = a.stand_in(80, funding="cap")
    a.capture(80, sale)
    assert a.upload() == ["accepted", "accepted"]
    state = shop.account()
    assert (state.cap_minor, state.used_minor, state.held_minor, state.available_minor) == (80, 0, 0, 100)


def test_sales_under_the_cap_are_told_by_store_in_all_and_in_the_window(opened: Opened) -> None:
    from backend import caps

    shop = opened(100)
    a, b = shop.lanes.values()
    a.stand_in(80, funding="cap")
    shop.clock.now_s += 8 * DAY_S
    a.stand_in(20, funding="cap")
    b.stand_in(5, funding="cap")
    assert [*a.upload(), *b.upload()] == ["accepted"] * 3
    told = caps.by_store(LENDER, shop.token, since_s=shop.clock.now_s - 7 * DAY_S)
    assert told == [caps.Risk("merchant-1", "store-1", sales=3, total_minor=105, window_minor=25)]
    assert shop.account().cap_minor == 105
    assert shop.account().available_minor == 100


def test_a_limit_cut_blocks_grants_but_not_the_leases_that_stand(opened: Opened) -> None:
    from backend import accounts
    from backend.schema import Account

    shop = opened(100)
    a = with_lease(shop, "A")
    with transaction(shop.backend.database):
        accounts.set_limit(Account.get(), 50, outstanding_minor=shop.account().outstanding_minor)
    assert with_lease(shop, "B").remaining(shop.token) == 0
    sale = a.intend(100)
    assert a.ask(a.request(100, sale))["approved"], "an approval inside a lease is always honoured"
    assert shop.account().available_minor == -50


def test_a_proof_is_bound_to_its_sale(opened: Opened) -> None:
    shop = opened(1_000)
    a, b = shop.lanes.values()
    cti = bytes(8)
    assert a.ask(a.request(10, "sale-proof-1", cti=cti))["approved"]
    assert a.ask(a.request(10, "sale-proof-1", cti=cti, attempt=2))["approved"]
    assert b.ask(b.request(10, "sale-proof-1", cti=cti))["reason"] == "proof_replayed"
    b.stand_in(10, cti=cti, funding="cap")
    assert b.upload() == ["disputed:proof_replayed"]
    assert UsedProof.select().count() == 1


def test_the_same_key_with_another_request_is_a_conflict(opened: Opened) -> None:
    shop = opened(1_000)
    a = shop.lanes["A"]
    raw = a.request(10, "sale-idem-1")
    assert a.ask(raw) == a.ask(raw)
    with pytest.raises(Problem, match="idempotency_conflict"):
        a.ask(a.request(20, "sale-idem-1"))
    assert shop.account().held_minor == 10
