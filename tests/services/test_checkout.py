"""A sale from scan to durable outcome: durable before visible, never twice, never unsafely alone, whenever cut."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import apsw
import pytest

from agent.core.authorization import Hold, HoldState
from agent.core.journal import Kind
from agent.core.money import Money
from agent.errors import IdempotencyConflict, LedgerUnavailable, LedgerUnknownOutcome, UplinkUnavailable
from agent.ports import AttemptUnknown
from agent.services.checkout import Order
from agent.simulation.disk import Disk
from agent.texts import LANGUAGES, catalogue
from tests.services.lanes import CUSTOMER, DAY_S, LENDER, NOW_S, STRANGER, Till, approved, declined, order
from tests.uplink.world import run

Opened = Callable[..., Till]


async def from_lease(request: Mapping[str, Any]) -> dict[str, Any]:
    return approved(request, used_minor=request["lease"]["debit_minor"] if request["lease"] else 0)


# -- promise 1: durable before visible ----------------------------------------------------------------------------


class Fails:
    """A ledger of which the ``at``-th ``record`` fails: before it happened, or after it is on the disk."""

    def __init__(self, ledger: Any, at: int, *, recorded: bool) -> None:
        self._ledger, self._at, self._recorded = ledger, at, recorded
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def record(self, *args: Any, **fields: Any) -> Any:
        self.calls += 1
        if self.calls != self._at:
            return self._ledger.record(*args, **fields)
        if self._recorded:
            self._ledger.record(*args, **fields)
            raise LedgerUnknownOutcome("the disk failed at the commit")
        raise LedgerUnavailable("the disk is full")


SCRIPTS: dict[str, tuple[bool, Any, str]] = {
    "standing in": (False, None, "stand_in"),
    "approved online": (True, from_lease, "online"),
    "no answer in time": (True, None, "stand_in"),
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_nothing_is_answered_told_sent_or_spooled_before_its_entry_is_durable(
    till: Till, script: str, recorded: bool, at: int
) -> None:
    till.backend.available, till.backend.answer, _ = SCRIPTS[script]
    till.kill()
    wrapped: list[Fails] = []
    till.start(lambda ledger: wrapped.append(Fails(ledger, at, recorded=recorded)) or wrapped[0])
    listener, before = till.lane.events.subscribe(), till.ledger.head.number
    if at > (2 if till.backend.available else 1):
        return
    with pytest.raises((LedgerUnavailable, LedgerUnknownOutcome)):
        run(till.checkout.sell(order(capture="later"), till.phone().code()))
    assert listener.get_nowait() is None
    assert till.backend.pokes == 0
    assert len(till.backend.requests) == at - 1
    assert len(till.ledger.print_jobs()) == int(recorded and till.ledger.attempts("sale-0001")[-1].is_approved)
    assert till.ledger.head.number == before + (at - 1) + int(recorded)


@pytest.mark.parametrize("script", SCRIPTS)
def test_one_decision_is_one_flush(till: Till, script: str) -> None:
    """An online intent costs one earlier, because it must be durable before the request leaves."""
    till.backend.available, till.backend.answer, mode = SCRIPTS[script]
    syncs: list[str] = []
    till.disk.before = lambda what: syncs.append(what) if what.startswith("sync") else None
    hold = run(till.checkout.sell(order(), till.phone().code()))
    assert (hold.mode, syncs) == (mode, ["sync"] * (1 + till.backend.available))


def test_an_approval_its_capture_and_its_slip_are_one_transaction(till: Till) -> None:
    run(till.checkout.sell(order(), till.phone().code()))
    assert till.kinds("sale-0001") == [Kind.AUTHORIZATION, Kind.CAPTURE]
    (job,) = till.ledger.print_jobs("sale-0001")
    assert (job.state, job.slip.attempt, job.slip.is_copy) == ("queued", 1, False)


def test_a_decline_prints_nothing(till: Till) -> None:
    run(till.checkout.sell(order(minor=10_001), till.phone().code()))
    assert till.ledger.print_jobs("sale-0001") == ()


# -- promise 3: nothing twice ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("minor", [3_000, 20_000])
def test_the_same_sale_and_code_give_the_same_answer_whatever_has_changed(till: Till, minor: int) -> None:
    code = till.phone().code()
    first = run(till.checkout.sell(order(minor=minor), code))
    entries = len(till.entries())
    till.restart()
    till.clock.pass_time(DAY_S)
    till.backend.available, till.backend.answer = True, from_lease
    assert run(till.checkout.sell(order(minor=minor), code)) == first
    assert (len(till.entries()), till.backend.requests) == (entries, [])


CHANGES: dict[str, dict[str, Any]] = {
    "amount": {"minor": 3_001},
    "category": {"category": "5732"},
    "capture": {"capture": "later"},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("minor", [3_000, 20_000])
def test_a_known_sale_id_with_other_content_is_a_conflict(till: Till, minor: int, change: str) -> None:
    code = till.phone().code()
    run(till.checkout.sell(order(minor=minor), code))
    with pytest.raises(IdempotencyConflict):
        run(till.checkout.sell(order(**({"minor": minor} | CHANGES[change])), code))
    other = Order("sale-0001", Money(minor, "USD"), "5411")
    with pytest.raises(IdempotencyConflict):
        run(till.checkout.sell(other, code))


def test_another_code_after_a_decline_is_a_new_attempt_and_after_an_approval_the_approval(till: Till) -> None:
    stale = run(till.checkout.sell(order(), till.phone().code(age_s=600)))
    assert (stale.attempt, stale.reason) == (1, "pass.proof_stale")
    fresh = run(till.checkout.sell(order(), till.phone().code()))
    assert (fresh.attempt, fresh.reason) == (2, "approved_offline")
    assert run(till.checkout.sell(order(), till.phone().code())) == fresh
    assert [hold.attempt for hold in till.ledger.attempts("sale-0001")] == [1, 2]


def test_each_code_of_a_declined_sale_keeps_its_own_answer(till: Till) -> None:
    codes = [till.phone().code(age_s=600), "1234567890", till.phone().code(age_s=700)]
    answers = [run(till.checkout.sell(order(), code)) for code in codes]
    assert [run(till.checkout.sell(order(), code)) for code in reversed(codes)] == list(reversed(answers))
    assert [hold.attempt for hold in answers] == [1, 2, 3]


def test_two_requests_at_once_for_one_sale_are_one_attempt(till: Till) -> None:
    async def both() -> list[Hold]:
        async def slowly(request: Mapping[str, Any]) -> Any:
            await asyncio.sleep(1)
            return await from_lease(request)

        till.backend.available, till.backend.answer = True, slowly
        first, second = till.phone().code(), till.phone().code()
        asked = (till.checkout.sell(order(), code) for code in (first, first, second))
        return list(await asyncio.gather(*asked))

    answers = run(both())
    assert answers[0] == answers[1] == answers[2]
    assert len(till.backend.requests) == len(till.ledger.attempts("sale-0001")) == 1


def test_two_sales_at_once_never_share_a_lease(till: Till) -> None:
    async def both() -> list[Hold]:
        till.backend.available = True  # and it never answers
        asked = (till.checkout.sell(order(f"sale-000{n}", 6_000), till.phone().code()) for n in range(3))
        return list(await asyncio.gather(*asked))

    assert [hold.reason for hold in run(both())] == ["approved_offline", "lease_exceeded", "lease_exceeded"]


@pytest.mark.parametrize("online", [True, False])
def test_a_proof_pays_once_however_the_first_sale_went(till: Till, online: bool) -> None:
    code = till.phone().code()
    till.backend.available, till.backend.answer = online, declined()
    run(till.checkout.sell(order("sale-0001", 20_000), code))
    till.restart()
    till.backend.answer = from_lease
    hold = run(till.checkout.sell(order("sale-0002", 100), code))
    assert (hold.reason, hold.response_code) == ("proof_replayed", "94")


# -- promise 7: fails safe ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unsafe:
    """A way to be unsafe: what is done to the lane, and why it then does not stand in."""

    reason: str
    response_code: str
    spoil: Callable[[Till], object]


def _restart(till: Till, wall_s: int) -> None:
    till.restart(wall_s=wall_s)


def _damage_pages(till: Till) -> None:
    (layer,) = (till.directory / "snapshots" / LENDER / "layers").iterdir()
    data = bytearray(layer.read_bytes())
    data[4096 + 40] ^= 1
    layer.write_bytes(data)


def _lose_snapshot(till: Till) -> None:
    (till.directory / "snapshots" / LENDER / "stack").write_bytes(b"junk")
    till.restart()


def _grow_old(till: Till) -> None:
    till.clock.pass_time(6 * DAY_S)
    till.install({b"somebody" * 2: 1}, delta=True, built_at=NOW_S + 6 * DAY_S)


UNSAFE: dict[str, Unsafe] = {
    "the clock is not trusted": Unsafe("clock_untrusted", "96", lambda till: _restart(till, NOW_S - 1)),
    "the policy has expired": Unsafe(
        "policy_expired",
        "91",
        lambda till: till.lane.lenders.install_policy(LENDER, till.lender.policy(2, expires_at=NOW_S)),
    ),
    "the policy is older than the snapshot wants": Unsafe(
        "policy_expired", "91", lambda till: till.install({b"somebody" * 2: 1}, delta=True, policy_version=2)
    ),
    "the snapshot is lost": Unsafe("snapshot_missing", "91", _lose_snapshot),
    "the snapshot's page is damaged": Unsafe("snapshot_missing", "91", _damage_pages),
    "the layer of the record is too old": Unsafe("snapshot_age", "91", _grow_old),
    "the queue is full": Unsafe(
        "queue_entries_max", "91", lambda till: [till.settings.update(queue_entries_max=3), till.restart()]
    ),
    "the disk is nearly full": Unsafe("free_space_min", "91", lambda till: setattr(till, "free_bytes", 10**8)),
    "the backend has another journal": Unsafe("journal_fork", "91", lambda till: till.lane.forwarding.forked(1, 3)),
    "the backend had another journal before the restart": Unsafe(
        "journal_fork", "91", lambda till: [till.lane.forwarding.forked(1, 3), till.restart()]
    ),
    "the backend revoked it": Unsafe("lane_revoked", "91", lambda till: till.lane.standing.told("lane_revoked")),
    "the backend revoked it before the restart": Unsafe(
        "lane_revoked", "91", lambda till: [till.lane.standing.told("lane_revoked"), till.restart()]
    ),
    "another device is this lane now": Unsafe(
        "lane_replaced", "91", lambda till: [till.lane.standing.told("lane_replaced"), till.restart()]
    ),
}


@pytest.mark.parametrize("way", UNSAFE)
def test_a_lane_does_not_stand_in_when(till: Till, way: str) -> None:
    unsafe = UNSAFE[way]
    unsafe.spoil(till)
    at = max(till.clock.wall, NOW_S)
    hold = run(till.checkout.sell(order(), till.phone().code(at=at)))
    assert (hold.state, hold.reason, hold.response_code) == (HoldState.DECLINED, unsafe.reason, unsafe.response_code)
    assert till.kinds("sale-0001") == [Kind.DECLINE]
    for language in LANGUAGES:
        assert hold.reason in catalogue(language)["reasons"]


@pytest.mark.parametrize("way", UNSAFE)
def test_online_sales_go_on_when(till: Till, way: str) -> None:
    UNSAFE[way].spoil(till)
    till.backend.available, till.backend.answer = True, from_lease
    at = max(till.clock.wall, NOW_S)
    hold = run(till.checkout.sell(order(), till.phone().code(at=at)))
    assert (hold.is_approved, hold.mode) == (True, "online")


@pytest.mark.parametrize("way", UNSAFE)
def test_the_health_list_names_the_way(till: Till, way: str) -> None:
    UNSAFE[way].spoil(till)
    run(till.checkout.sell(order(), till.phone().code(at=max(till.clock.wall, NOW_S))))
    if way not in ("the policy is older than the snapshot wants", "the layer of the record is too old"):
        assert UNSAFE[way].reason in {found.code for found in till.lane.conditions()}


def test_a_pass_without_a_record_is_bounded_by_its_own_cap(till: Till) -> None:
    phone = till.phone(STRANGER, cap_minor=5_000)
    amounts = {"sale-0001": 5_001, "sale-0002": 5_000}
    reasons = [run(till.checkout.sell(order(name, minor), phone.code())).reason for name, minor in amounts.items()]
    assert reasons == ["cap_exceeded", "approved_offline"]
    assert till.entries(Kind.AUTHORIZATION)[0].entry.body["funding"] == "cap"
    assert till.left(STRANGER) == 0


CODES = {
    "4006381333931": ("not_a_pass", "12"),
    "281234567890123456": ("wallet_not_served", "57"),
    "hQVDUFYwMWETTwegAAAAVVVVUAhQcm9kdWN0MWETTwegAAAAZmZmUAhQcm9kdWN0MmJJWggSNFZ4kBI0WF8gDkNBUkRIT0xERVIvRU1WXy0IcnVl"
    "c2RlZW5kIZ8QBwYBCgMAAACfJghYT9OF+iNLzJ82AgABnzcEbVjvEw==": ("pass.not_our_application", "12"),
    "": ("not_a_pass", "12"),
}


@pytest.mark.parametrize("code", CODES, ids=[reason for reason, _ in CODES.values()])
def test_a_code_that_cannot_pay_is_declined_without_asking_anybody(till: Till, code: str) -> None:
    till.backend.available = True
    hold = run(till.checkout.sell(order(), code))
    assert (hold.reason, hold.response_code) == CODES[code]
    assert till.backend.requests == []


def test_a_backend_that_sends_a_million_rules_does_not_stop_the_sale(till: Till) -> None:
    async def flood(request: Mapping[str, Any]) -> Any:
        return approved(request, rules=["r" * 256] * 10_000)

    till.backend.available, till.backend.answer = True, flood
    assert run(till.checkout.sell(order(), till.phone().code())).is_approved
    assert len(till.entries(Kind.ONLINE_OUTCOME)[0].entry.body["rules"]) == 100


# -- restart in every state -----------------------------------------------------------------------------------------


def interrupted(till: Till, *, minor: int = 3_000) -> None:
    """A lane that died while it waited for the backend."""
    till.backend.available, till.backend.answer = True, RuntimeError("the process dies here")
    with pytest.raises(RuntimeError):
        run(till.checkout.sell(order(minor=minor), till.phone().code()))
    till.restart()


AFTERWARDS: dict[str, tuple[bool, Any, str, int]] = {
    "it had approved": (True, approved({"amount": {"minor": 3000, "currency": "CNY"}}, used_minor=2000), "00", 8_000),
    "it had declined": (True, declined("51"), "51", 10_000),
    "it has never heard of it": (True, AttemptUnknown(), "68", 10_000),
    "it does not answer": (True, None, "68", 10_000),
    "it cannot be reached": (False, UplinkUnavailable("down"), "68", 10_000),
    "it says what cannot be": (True, approved({"amount": {"minor": 1, "currency": "CNY"}}), "68", 10_000),
}


@pytest.mark.parametrize("name", AFTERWARDS)
def test_an_intent_open_at_a_restart_is_inquired_first_and_then_closed(till: Till, name: str) -> None:
    available, known, response_code, left = AFTERWARDS[name]
    interrupted(till)
    till.backend.available, till.backend.known = available, known
    run(till.lane.start())
    (hold,) = till.ledger.attempts("sale-0001")
    assert (hold.response_code, hold.open_debit_minor, till.left()) == (response_code, 0, left)
    assert till.backend.inquiries == [(LENDER, "sale-0001", 1)]
    assert till.ledger.open_intents() == ()
    assert len(till.ledger.print_jobs("sale-0001")) == hold.is_approved
    till.ledger.verify()


@pytest.mark.parametrize("name", AFTERWARDS)
def test_a_pos_that_asks_again_after_the_restart_gets_the_one_answer(till: Till, name: str) -> None:
    till.backend.available, till.backend.answer = True, RuntimeError("the process dies here")
    code = till.phone().code()
    with pytest.raises(RuntimeError):
        run(till.checkout.sell(order(), code))
    till.restart()
    till.backend.available, till.backend.known, response_code, _ = AFTERWARDS[name]
    assert run(till.checkout.sell(order(), code)).response_code == response_code
    assert len(till.ledger.attempts("sale-0001")) == 1


def test_until_it_is_closed_the_debit_of_an_open_intent_belongs_to_nobody_else(till: Till) -> None:
    interrupted(till, minor=6_000)
    assert till.left() == 4_000
    till.backend.available = False
    assert run(till.checkout.sell(order("sale-0002", 4_001), till.phone().code())).reason == "lease_exceeded"


def test_a_line_that_is_back_a_moment_after_the_restart_is_waited_for(till: Till) -> None:
    interrupted(till)
    till.backend.available, till.backend.known = False, declined("51")

    async def soon() -> None:
        await asyncio.sleep(1)
        till.backend.available = True

    async def both() -> None:
        await asyncio.gather(till.lane.start(), soon())

    run(both())
    assert till.ledger.attempts("sale-0001")[0].response_code == "51"


def test_a_restart_between_two_sales_changes_nothing(till: Till) -> None:
    first = run(till.checkout.sell(order("sale-0001", 6_000), till.phone(CUSTOMER).code()))
    till.restart()
    run(till.lane.start())
    assert till.ledger.attempts("sale-0001") == (first,)
    assert run(till.checkout.sell(order("sale-0002", 4_001), till.phone().code())).reason == "lease_exceeded"


def test_an_epoch_that_a_crash_cut_off_begins_whole_at_the_next_start(opened: Opened) -> None:
    till = opened(ready=False)

    def begins_and_dies(cut: int) -> bool:
        """A first start that dies at its ``cut``-th operation on the disk; False when it has fewer."""
        till.kill()
        till.disk = till.vfs.disk = Disk()
        left = iter(range(cut))

        def dies(_: str) -> None:
            if next(left, None) is None:
                till.disk.process_is_dead = True
                raise apsw.IOError("killed")

        try:
            till.start(lambda ledger: setattr(till.disk, "before", dies) or ledger)
        except (LedgerUnavailable, LedgerUnknownOutcome):
            return True
        return False

    cut = 0
    while begins_and_dies(cut):
        till.restart()
        assert till.ledger.head.position == (1, 1)
        assert till.ledger.verify() == till.ledger.head
        cut += 1
    assert cut >= 2


def test_a_sale_that_waits_for_another_does_not_make_its_pass_older(till: Till) -> None:
    async def slowly(request: Mapping[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        till.clock.pass_time(300)
        return approved(request)

    async def both() -> list[Hold]:
        codes = [till.phone().code(), till.phone().code()]
        sales = (till.checkout.sell(order(f"sale-000{n}"), code) for n, code in enumerate(codes))
        return await asyncio.gather(*sales)

    till.backend.available, till.backend.answer = True, slowly
    first, second = run(both())
    assert (first.response_code, second.response_code) == ("00", "00")
    assert [request["scanned_at"] for request in till.backend.requests] == ["2027-01-15T08:00:00Z"] * 2
    recorded = [sealed.entry.recorded_at for sealed in till.entries(Kind.ONLINE_INTENT)]
    assert recorded == [NOW_S, NOW_S + 300]
    late = run(till.checkout.sell(order("sale-0009"), till.phone().code(age_s=300)))
    assert late.reason == "pass.proof_stale"
