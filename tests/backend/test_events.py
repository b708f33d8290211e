"""Push and recalls at the backend: what is told follows from the tables, and what is recalled is freed by journals."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import lanes, recalls, snapshots
from backend.accounts import find, set_limit
from backend.database import transact, transaction
from backend.events import RECALLED_MAX, Fact, Hub, Recalled, State, cursor_of, news, poll, read_cursor, stream
from backend.lane_state import look
from backend.schema import Recall
from tests.backend.conftest import Call
from tests.backend.lanes import DAY_S, LENDER, Shop

SNAPSHOT = Fact("snapshot/demo", 7, "snapshot", {"lender": "demo", "sequence": 7})
KEYS = Fact("keys/demo", 1, "keys", {"lender": "demo", "version": 1})
TOKEN = bytes(range(16))


def recall(shop: Shop, **asked: Any) -> list[Recall]:
    with transaction(shop.backend.database):
        return recalls.request(LENDER, now_s=shop.clock.now_s, **{"reason": "wanted elsewhere"} | asked)


def told_to(shop: Shop, lane: str, cursor: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    state = look([lane], shop.backend.lenders)[lane]
    return [(fact.kind, dict(fact.data)) for fact in news(state, read_cursor(cursor))]


def kinds(shop: Shop, lane: str) -> list[str]:
    return [kind for kind, _ in told_to(shop, lane)]


# --- what is told ----------------------------------------------------------------------------------------------------
def test_without_a_cursor_the_whole_state_is_news_and_with_its_own_nothing() -> None:
    state = State((KEYS, SNAPSHOT), (Recalled("demo", 3, TOKEN, "r"),))
    told: dict[str, Any] = {fact.topic: fact.version for fact in news(state, {})}
    assert told == {"keys/demo": 1, "snapshot/demo": 7, "recall/demo": 3}
    assert list(news(state, read_cursor(cursor_of(told)))) == []


@pytest.mark.parametrize(("version", "is_news"), [(7, False), (8, True), (6, True)])
def test_another_version_is_news_also_an_older_one_after_a_restore(version: int, is_news: bool) -> None:
    state = State((Fact("snapshot/demo", version, "snapshot", {}),))
    assert bool(list(news(state, {"snapshot/demo": 7}))) is is_news


def test_a_recall_of_many_accounts_comes_in_bounded_events_that_resume_in_the_middle() -> None:
    state = State((), tuple(Recalled("demo", number, TOKEN, "r") for number in range(1, RECALLED_MAX + 3)))
    first, second = news(state, {})
    assert (len(first.data["accounts"]), len(second.data["accounts"])) == (RECALLED_MAX, 2)
    assert list(news(state, {first.topic: first.version})) == [second]


def test_all_accounts_of_a_lane_are_told_as_null() -> None:
    (fact,) = news(State((), (Recalled("demo", 1, TOKEN, "r"), Recalled("demo", 2, None, "all"))), {})
    assert fact.data == {"lender": "demo", "accounts": None, "reason": "all"}


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda data: data.hex()))
def test_a_foreign_cursor_remembers_nothing_and_breaks_nothing(text: str) -> None:
    assert isinstance(read_cursor(text), dict)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_a_cursor_of_strange_content_is_read_as_far_as_it_makes_sense(content: Any) -> None:
    told = read_cursor(cursor_of(content)) if isinstance(content, dict) else read_cursor(cursor_of({"a": content}))
    assert all(type(version) in (int, str) for version in told.values())


# --- who waits -------------------------------------------------------------------------------------------------------
class Tables:
    """The state that a test sets, and how often it was looked at."""

    def __init__(self) -> None:
        self.state, self.looks = State((KEYS,)), 0

    def __call__(self, asked: Any) -> dict[str, State]:
        self.looks += 1
        return dict.fromkeys(asked, self.state)


async def next_event(body: AsyncIterator[bytes]) -> bytes:
    async for piece in body:
        if not piece.startswith(b":"):
            return piece
    return b""


def test_a_long_poll_answers_as_soon_as_there_is_news() -> None:
    async def test() -> None:
        tables = Tables()
        hub = Hub(tables, look_s=0.01)
        first = await poll(hub, "A", {}, 25)
        waiting = asyncio.create_task(poll(hub, "A", read_cursor(first["cursor"]), 25))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        tables.state = State((KEYS, SNAPSHOT))
        answer = await asyncio.wait_for(waiting, 60)
        assert [(event["type"], event["data"]) for event in answer["events"]] == [("snapshot", SNAPSHOT.data)]
        assert read_cursor(answer["cursor"]) == {"keys/demo": 1, "snapshot/demo": 7}

    asyncio.run(test())


def test_a_poll_that_may_not_wait_answers_at_once_without_news() -> None:
    answer = asyncio.run(poll(Hub(Tables()), "A", {"keys/demo": 1}, 0))
    assert answer["events"] == []


def test_a_stream_begins_with_a_comment_resumes_at_its_cursor_and_says_now_and_then_that_it_lives() -> None:
    async def test() -> None:
        tables = Tables()
        body = stream(Hub(tables, look_s=0.01), "A", {"keys/demo": 1}, comment_s=0.02)
        assert await anext(body) == b":\n\n"
        assert await anext(body) == b":\n\n"
        tables.state = State((KEYS, SNAPSHOT))
        frame = (await next_event(body)).decode().splitlines()
        assert frame[1:] == ["event: snapshot", 'data: {"lender":"demo","sequence":7}', ""]
        assert read_cursor(frame[0].removeprefix("id: ")) == {"keys/demo": 1, "snapshot/demo": 7}
        await body.aclose()

    asyncio.run(test())


def test_of_two_streams_of_a_lane_the_newest_counts_and_other_lanes_are_left_alone() -> None:
    async def test() -> None:
        hub = Hub(Tables(), look_s=0.01)
        old, new, other = (stream(hub, lane, {}, comment_s=0.02) for lane in ("A", "A", "B"))
        for body in (old, other, new):
            assert b"event: keys" in await next_event(body)
        assert await next_event(old) == b""
        for body in (new, other):
            assert await anext(body) == b":\n\n"
            await body.aclose()

    asyncio.run(test())


def test_a_thousand_lanes_cost_one_look_a_second_and_nobody_none() -> None:
    async def test() -> None:
        tables = Tables()
        hub, began_s = Hub(tables, look_s=0.05), time.monotonic()
        waiting = [asyncio.create_task(poll(hub, f"lane-{n}", {"keys/demo": 1}, 600)) for n in range(1000)]
        await asyncio.sleep(0)
        connected = tables.looks
        assert connected == 1000
        await asyncio.sleep(0.3)
        assert tables.looks - connected <= 1 + (time.monotonic() - began_s) / 0.05
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(0.1)
        rest = tables.looks
        await asyncio.sleep(0.2)
        assert tables.looks == rest

    asyncio.run(test())


def test_what_this_process_wrote_itself_is_told_at_once_and_closing_ends_all() -> None:
    async def test() -> None:
        tables = Tables()
        hub = Hub(tables, look_s=60)
        body = stream(hub, "A", {"keys/demo": 1})
        assert await anext(body) == b":\n\n"
        following = asyncio.ensure_future(next_event(body))
        await asyncio.sleep(0.01)
        tables.state = State((SNAPSHOT,))
        hub.wake()
        assert b"event: snapshot" in await asyncio.wait_for(following, 60)
        hub.close()
        assert await asyncio.wait_for(next_event(body), 60) == b""

    asyncio.run(test())


def test_after_the_word_that_it_is_revoked_a_lane_hears_no_more() -> None:
    async def test() -> None:
        tables = Tables()
        tables.state = State((Fact("revoked", 1, "revoked", {}),))
        body = stream(Hub(tables), "A", {})
        assert b"event: revoked\ndata: {}" in await next_event(body)
        assert await next_event(body) == b""

    asyncio.run(test())


def test_what_another_process_wrote_is_told_at_the_next_look(shop: Shop, books: str) -> None:
    if not books.startswith("postgresql"):
        pytest.skip("a SQLite file has one process")

    async def test() -> None:
        hub = Hub(lambda asked: look(asked, shop.backend.lenders), look_s=0.05)
        first = await poll(hub, "A", {}, 0)
        waiting = asyncio.create_task(poll(hub, "A", read_cursor(first["cursor"]), 600))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(elsewhere)
        answer = await asyncio.wait_for(waiting, 60)
        assert [event["type"] for event in answer["events"]] == ["snapshot"]

    def elsewhere() -> None:
        """A thread has a connection of its own, as another process has."""
        shop.cut("A")
        shop.backend.database.close()

    asyncio.run(test())


# --- over HTTP -------------------------------------------------------------------------------------------------------
def test_the_call_tells_the_state_and_goes_on_from_its_cursor(shop: Shop, call: Call) -> None:
    first = call("GET", "/v1/events").json()
    assert sorted(event["type"] for event in first["events"]) == ["keys", "policy"]
    shop.cut("A")
    after = call("GET", f"/v1/events?after={first['cursor']}").json()
    assert [(event["type"], event["data"]) for event in after["events"]] == [
        ("snapshot", {"lender": LENDER, "sequence": 1})
    ]
    assert after["events"][-1]["id"] == after["cursor"]


@pytest.mark.parametrize("wait_s", ["26", "-1", "1.5", "soon", "٣", "1" * 5000])
def test_a_wait_that_is_no_number_of_seconds_up_to_25_is_refused(call: Call, wait_s: str) -> None:
    answer = call("GET", f"/v1/events?wait_s={wait_s}")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:counterfoil:problem:malformed")


def test_nobody_listens_without_a_certificate(call: Call) -> None:
    assert call("GET", "/v1/events", lane=None).status_code == 401


def test_a_lane_whose_right_ended_is_told_so_and_nothing_else(shop: Shop) -> None:
    shop.cut("A")
    with transaction(shop.backend.database):
        lanes.set_state("A", 1, lanes.DRAINING)
    assert told_to(shop, "A") == [("revoked", {})]
    assert "revoked" not in kinds(shop, "B")


def test_a_dispute_is_told_by_its_place_in_the_lane_s_list(shop: Shop) -> None:
    shop.cut("A")
    lane = shop.lanes["A"]
    lane.install()
    lane.stand_in(10_001)  # the lease is 10,000
    assert any("disputed" in result for result in lane.upload())
    assert ("exceptions", {"cursor": "1"}) in told_to(shop, "A")


# --- recalls ---------------------------------------------------------------------------------------------------------
def test_a_recall_is_told_until_the_return_is_posted_and_only_that_frees_the_credit(shop: Shop) -> None:
    shop.cut("A")
    lane = shop.lanes["A"]
    lane.install()
    lane.upload()
    assert len(recall(shop, account=shop.token)) == 1
    asked = {"lender": LENDER, "accounts": [shop.token.hex()], "reason": "wanted elsewhere"}
    assert ("recall", asked) in told_to(shop, "A")
    lane.give_back(10_000)
    recalls.tend(shop.backend.database, LENDER, now_s=shop.clock.now_s)
    assert shop.account().outstanding_minor == 10_000, "the lane's word has not arrived yet"
    assert "recall" in kinds(shop, "A")
    lane.upload()
    recalls.tend(shop.backend.database, LENDER, now_s=shop.clock.now_s)
    assert shop.account().outstanding_minor == 0
    assert "recall" not in kinds(shop, "A")


def test_while_a_recall_is_open_no_layer_grants_its_account_anything_and_afterwards_the_next_one_does(
    shop: Shop,
) -> None:
    shop.cut("A")
    lane = shop.lanes["A"]
    lane.install()
    lane.upload()
    recall(shop, account=shop.token)
    shop.cut("A")
    lane.install()
    assert lane.remaining(shop.token) == 0
    assert lane.remaining(shop.phones[1].account) == 10_000
    lane.upload()
    shop.backend.refresh_snapshots()
    lane.install()
    assert lane.remaining(shop.token) == 10_000


def test_a_recall_with_a_hold_stays_open_until_its_time(shop: Shop) -> None:
    shop.cut("A")
    recall(shop, account=shop.token, lane="A", hold_s=DAY_S)
    shop.lanes["A"].install()
    shop.lanes["A"].give_back(10_000)
    shop.lanes["A"].upload()
    shop.backend.refresh_snapshots()
    assert "recall" in kinds(shop, "A")
    shop.clock.now_s += DAY_S
    recalls.tend(shop.backend.database, LENDER, now_s=shop.clock.now_s)
    assert "recall" not in kinds(shop, "A")


def test_a_limit_cut_below_what_is_promised_asks_every_lane_that_holds_some_of_it(shop: Shop) -> None:
    for name in "AB":
        shop.cut(name)
    with transaction(shop.backend.database):
        account = find(LENDER, shop.token)
        assert account is not None
        set_limit(account, 15_000, outstanding_minor=20_000)
    shop.backend.refresh_snapshots()
    assert all("recall" in kinds(shop, name) for name in "AB")
    for name in "AB":
        lane = shop.lanes[name]
        lane.install()
        lane.give_back(lane.remaining(shop.token))
        lane.upload()
    shop.backend.refresh_snapshots()
    assert all("recall" not in kinds(shop, name) for name in "AB")
    assert shop.account().outstanding_minor <= 15_000


def test_a_lease_that_lapsed_by_the_lane_s_own_word_is_asked_for_no_longer(shop: Shop) -> None:
    shop.cut("A")
    lane = shop.lanes["A"]
    recall(shop, account=shop.token)
    shop.clock.now_s += DAY_S + 1
    recalls.tend(shop.backend.database, LENDER, now_s=shop.clock.now_s)
    assert "recall" in kinds(shop, "A"), "time alone frees nothing (lease rule 1)"
    lane.write("policy_installed", {"version": 1, "digest": bytes(32)})
    lane.upload()
    recalls.tend(shop.backend.database, LENDER, now_s=shop.clock.now_s)
    assert "recall" not in kinds(shop, "A")


def test_all_leases_of_a_lane_end_with_a_base_that_grants_nothing(shop: Shop) -> None:
    for name in "AB":
        shop.cut(name)
        shop.lanes[name].install()
        shop.lanes[name].upload()
    recall(shop, lane="A")
    shop.backend.refresh_snapshots()
    lane = shop.lanes["A"]
    lane.install()
    assert [lane.remaining(phone.account) for phone in shop.phones] == [0, 0]
    assert shop.account().outstanding_minor == 20_000
    lane.upload()
    assert shop.account().outstanding_minor == 10_000
    shop.backend.refresh_snapshots()
    lane.install()
    assert [lane.remaining(phone.account) for phone in shop.phones] == [10_000, 10_000]
    assert "recall" not in kinds(shop, "A")


def test_what_is_asked_for_already_is_not_asked_for_twice(shop: Shop) -> None:
    shop.cut("A")
    assert len(recall(shop, account=shop.token)) == 1
    assert recall(shop, account=shop.token) == []


def test_a_cursor_outlives_the_backend(shop: Shop, call: Call) -> None:
    """Nothing of it is in the process: another one over the same tables reads it."""
    cursor = call("GET", "/v1/events").json()["cursor"]
    assert told_to(shop, "A", cursor) == []
    shop.cut("A")
    assert told_to(shop, "A", cursor) == [("snapshot", {"lender": LENDER, "sequence": 1})]
    assert json.dumps(read_cursor(cursor))


def test_a_base_that_was_begun_before_all_leases_were_recalled_does_not_answer_the_recall(shop: Shop) -> None:
    """The operator asks while another process is granting, account by account."""
    lender, database, now_s = shop.backend.lenders[LENDER], shop.backend.database, shop.clock.now_s
    cut = transact(database, lambda: snapshots.begin("A", lender, is_base=True, now_s=now_s))
    assert cut is not None
    (asked,) = recall(shop, lane="A")
    assert asked.sequence == cut.sequence
    assert recalls.base_is_due("A", LENDER, cut.sequence)
