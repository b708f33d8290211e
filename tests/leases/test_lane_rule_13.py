"""Lease rule 13 at the lane: a backend that was restored gets back what it forgot, and sales stand in meanwhile.

*(A restored backend acknowledges from where it stands; a lane that believes it was heard keeps its entries to itself.)*
"""

import asyncio
from pathlib import Path

import httpx

from agent.core.journal import Kind, Position
from agent.core.lane_report import Report
from agent.ports import QueueException
from agent.services.forwarding import Forwarding
from agent.uplink.exceptions import Exceptions
from agent.uplink.heartbeat import Heartbeat
from agent.uplink.lane_side import LinkState
from agent.uplink.link import Link
from agent.uplink.sales import Sales
from agent.uplink.wanted_layers import WantedLayers
from tests.services.lanes import CUSTOMER, LENDER, Till, order
from tests.uplink.world import LENDER as WIRE_LENDER
from tests.uplink.world import REQUEST, Lane, Server, b64, client_of, pace, problem, run, running, until

NONCE = bytes(range(16))


def sell(till: Till, count: int) -> None:
    for number in range(count):
        run(till.checkout.sell(order(f"sale-{till.ledger.head.number:05}-{number}", 1), till.phone().code()))


def drain(forwarding: Forwarding, results: str = "accepted") -> None:
    while sent := forwarding.next_upload(4, 1 << 20):
        last = sent.first + len(sent.entries) - 1
        forwarding.acknowledged(sent.epoch, last, [(n, results, None) for n in range(sent.first, last + 1)])


def test_a_gap_below_what_was_acknowledged_sends_it_again_in_order_and_as_the_same_bytes(till: Till) -> None:
    sell(till, 3)
    forwarding = till.lane.forwarding
    drain(forwarding)
    assert forwarding.depth == 0
    assert forwarding.rewind(1, 2)
    again = forwarding.next_upload(1_000, 1 << 20)
    assert again and again.first == 2
    assert list(again.entries) == [sealed.data for sealed in till.entries()[1:]]


def test_a_dispute_that_is_told_again_after_a_rewind_is_shown_once(till: Till) -> None:
    sell(till, 1)
    forwarding = till.lane.forwarding
    for _ in range(2):
        drain(forwarding, "disputed")
        forwarding.rewind(1, 1)
    assert forwarding.exceptions == till.ledger.head.number


def test_the_heartbeat_says_how_far_the_lane_is_and_what_it_has_installed(till: Till) -> None:
    sell(till, 1)
    till.lane.forwarding.next_upload(3, 1 << 20)
    till.lane.forwarding.acknowledged(1, 3, [])
    said = till.lane.report(LENDER, NONCE)
    head = till.ledger.head.number
    assert {name: said[name] for name in ("epoch", "number", "acknowledged_through", "queue_depth")} == {
        "epoch": 1, "number": head, "acknowledged_through": 3, "queue_depth": head - 3,
    }  # fmt: skip
    has = till.lane.lenders.all()[0].in_force
    told = {"sequence": 1, "digest": has.digest, "keys": has.keys_version, "policy": has.policy_version}
    assert said["installed"] == {LENDER: told}
    report = Report(till.lane.settings.lane, NONCE, 1, head, 3, {LENDER: has})
    assert report.is_signed_by(till.lane._journal_key.public, said["signature"])
    other = Report(till.lane.settings.lane, bytes(16), 1, head, 3, {LENDER: has})
    assert not other.is_signed_by(till.lane._journal_key.public, said["signature"])
    assert said["devices"] == {"printer": "ready"}


def test_a_lane_still_has_the_layers_that_it_says_it_has(till: Till) -> None:
    path = till.lane.snapshots.layer_path(LENDER, 1)
    assert path and Path(path).stat().st_size
    assert till.lane.snapshots.layer_path(LENDER, 2) is None
    assert till.left(CUSTOMER) == 10_000


def test_a_layer_that_the_backend_wants_is_sent_whole(tmp_path: Path) -> None:
    async def test() -> None:
        lane, server, link = Lane(), Server(), Link(3)
        content = bytes(range(256)) * 4_000
        (tmp_path / "7.layer").write_bytes(content)
        lane.layer_files = {7: str(tmp_path / "7.layer")}
        beat = httpx.Response(
            200,
            json={
                "time": b64(b"signed"),
                "layers_wanted": [{"lender": WIRE_LENDER, "sequence": n} for n in (7, 8)],
                "recovering": True,
            },
        )
        server.answers["POST", "/v1/heartbeat"] = beat
        taken: list[bytes] = []

        def take(request: httpx.Request) -> httpx.Response:
            taken.append(request.content)
            return httpx.Response(204)

        server.answers["PUT", f"/v1/snapshot/{WIRE_LENDER}/7"] = take
        client = client_of(server)
        wanted = WantedLayers(lane, client, link)
        heartbeat = Heartbeat(lane, client, link, pace(15), budget_s=1.5, poll_s=1_000, want=wanted.want)
        with running(heartbeat.run(), wanted.run()):
            await until(lambda: taken)
        assert taken == [content]
        assert lane.links[-1][0] is LinkState.RECOVERING

    run(test())


def test_while_the_backend_recovers_a_sale_stands_in_at_once_and_the_breaker_stays_closed() -> None:
    async def test() -> None:
        server, link = Server(), Link(3)
        link.probing()
        link.timed(None)
        server.answers["POST", "/v1/authorizations"] = problem(503, "recovering")
        sales = Sales(client_of(server), link, "lane-1")
        for _ in range(10):
            answer = await sales.authorize([1_500, dict(REQUEST)])
            assert isinstance(answer, list) and answer[0] == "unknown"
        assert asyncio.get_running_loop().time() < 0.1
        assert link.breaker.lets_sales_wait
        assert link.probe_wanted.is_set(), "the heartbeat finds out at once, and tells all sales"

    run(test())


def test_status_says_that_the_backend_is_recovering_and_not_that_the_line_is_dead(till: Till) -> None:
    till.lane.link = LinkState.RECOVERING
    codes = {condition.code for condition in till.lane.conditions()}
    assert "backend_recovering" in codes and "uplink_unavailable" not in codes


def test_what_the_backend_disputes_later_becomes_visible_page_by_page() -> None:
    pages = {
        "": ([{"epoch": 1, "number": n, "result": "disputed", "reason": "lease_exceeded"} for n in range(500)], "a"),
        "a": ([{"epoch": 1, "number": 900, "result": "of a later version", "bearer": "merchant"}], "b"),
        "b": ([], "b"),
    }

    def page(request: httpx.Request) -> httpx.Response:
        found, cursor = pages[request.url.params.get("after", "")]
        return httpx.Response(200, json={"exceptions": found, "cursor": cursor})

    async def test() -> None:
        lane, server, link = Lane(), Server(), Link(3)
        server.answers["GET", "/v1/exceptions"] = page
        with running(Exceptions(lane, client_of(server), link, pace(), poll_s=15).run()):
            await until(lambda: lane.exceptions_after == "b")
            await asyncio.sleep(100)
        assert len(lane.found) == 501
        assert (lane.found[-1].result, lane.found[-1].reason, lane.found[-1].bearer) == (
            "of a later version", "of a later version", "merchant",
        )  # fmt: skip

    run(test())


def test_a_page_of_exceptions_and_its_cursor_survive_a_restart_together(till: Till) -> None:
    found = QueueException(Position(1, 2), "disputed", "over_limit", "lender")
    till.lane.forwarding.found_later([found], "cursor-7")
    till.restart()
    assert till.lane.forwarding.exceptions_cursor == "cursor-7"
    assert till.ledger.queue_exceptions() == (found,)
    assert till.entries(Kind.EPOCH_START)
