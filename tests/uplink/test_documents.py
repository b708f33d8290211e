"""Keys and policies reach the lane when they change, and are asked for again until it has accepted them."""

import asyncio

import httpx

from agent.uplink.documents import Documents
from agent.uplink.lane_side import DocumentKind
from agent.uplink.link import Link
from tests.uplink.world import Lane, Server, client_of, pace, problem, run, running, until

COSE = {"Content-Type": "application/cose"}


def versioned(version: str) -> object:
    """A server's answer for a document of this version, with its ETag."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers.get("If-None-Match") == version:
            return httpx.Response(304)
        return httpx.Response(200, content=version.encode(), headers={**COSE, "ETag": version})

    return answer


class Desk:
    def __init__(self) -> None:
        self.lane, self.server, self.link = Lane(), Server(), Link(3)
        self.documents = Documents(self.lane, client_of(self.server), self.link, pace(), poll_s=15)
        self.publish("keys", "k1")
        self.publish("policy", "p1")

    def publish(self, kind: str, version: str) -> None:
        self.server.answers["GET", f"/v1/{kind}"] = versioned(version)  # type: ignore[assignment]


def test_a_document_is_handed_over_once_per_version_and_keys_come_first() -> None:
    async def test() -> None:
        desk = Desk()
        with running(desk.documents.run()):
            await asyncio.sleep(100)
            desk.publish("policy", "p2")
            await until(lambda: len(desk.lane.documents) == 3)
            await asyncio.sleep(100)
        assert desk.lane.documents == [
            (DocumentKind.KEYS, b"k1"),
            (DocumentKind.POLICY, b"p1"),
            (DocumentKind.POLICY, b"p2"),
        ]

    run(test())


def test_a_document_that_the_lane_did_not_accept_is_offered_again() -> None:
    async def test() -> None:
        desk = Desk()
        desk.lane.accepts = False
        with running(desk.documents.run()):
            await asyncio.sleep(31)
            desk.lane.accepts = True
            await asyncio.sleep(60)
        assert desk.lane.documents.count((DocumentKind.POLICY, b"p1")) == 4

    run(test())


def test_a_document_that_is_not_to_be_had_does_not_keep_the_others_away() -> None:
    async def test() -> None:
        desk = Desk()
        desk.server.answers["GET", "/v1/keys"] = problem(404, "lender_unknown")
        with running(desk.documents.run()):
            await until(lambda: desk.lane.documents)
        assert desk.lane.documents == [(DocumentKind.POLICY, b"p1")]

    run(test())


def test_new_documents_are_fetched_as_soon_as_the_link_is_back() -> None:
    async def test() -> None:
        desk = Desk()
        desk.server.faults = [httpx.Response(503, headers={"Retry-After": "300"})]
        with running(desk.documents.run()):
            await asyncio.sleep(1)
            desk.link.probing()
            desk.link.timed(None)
            await until(lambda: len(desk.lane.documents) == 2)
        assert asyncio.get_running_loop().time() < 2

    run(test())
