"""However often a download is cut, and whatever the server holds in its place, what arrives is as announced."""

import random
import tempfile
from hashlib import sha256
from pathlib import Path

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.uplink.client import LayerRef
from agent.uplink.faults import BackendFault
from agent.uplink.lane_side import LenderState
from agent.uplink.spool import LayerRefused, Spool, Verdict, check_file
from tests.uplink.test_snapshots import BASE, NEXT, Torn
from tests.uplink.world import LENDER, client_of, run

REF = LayerRef(7, len(BASE), sha256(BASE).digest(), "/v1/layers/7")
TRIES_MAX = 200


class Cutting:
    """A server that cuts each answer somewhere, answers some ranges from the start, and may hold other bytes first."""

    def __init__(self, seed: int, wrong: bytes | None, wrong_answers: int, honours_ranges: float) -> None:
        self.random, self.wrong, self.wrong_answers = random.Random(seed), wrong, wrong_answers
        self.honours_ranges = honours_ranges
        self.sent_bytes = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        data = BASE
        if self.wrong is not None and self.wrong_answers > 0:
            data, self.wrong_answers = self.wrong, self.wrong_answers - 1
        asked = request.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start >= len(data) and asked:
            return httpx.Response(416)
        if not asked or self.random.random() >= self.honours_ranges:
            return self._part(200, data, 0, {})
        return self._part(206, data, start, {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})

    def _part(self, status: int, data: bytes, start: int, headers: dict[str, str]) -> httpx.Response:
        end = start + self.random.randint(0, len(data) - start)
        self.sent_bytes += end - start
        return httpx.Response(status, stream=Torn(data[start:end], end < len(data)), headers=headers)


async def fetched(server: Cutting, directory: Path) -> bytes:
    """What lies in the spool when all of it is as announced; a refused file is fetched again, as the loop does."""
    spool, client = Spool(directory, free_min_bytes=0), client_of(server)
    for _ in range(TRIES_MAX):
        try:
            await spool.fetch(client, LENDER, REF)
        except BackendFault:
            continue
        try:
            check_file(spool.place(LENDER, REF), REF, STATE)
        except LayerRefused as refused:
            if refused.verdict is Verdict.AGAIN:
                spool.discard(LENDER, REF)
                continue
        return spool.place(LENDER, REF).read_bytes()
    raise AssertionError("it never arrives")


STATE = LenderState(LENDER, b"", b"", (), 0)


@given(
    seed=st.integers(0, 2**32),
    wrong=st.sampled_from([None, NEXT, BASE[:-1], BASE[::-1], b""]),
    wrong_answers=st.integers(0, 3),
    honours_ranges=st.sampled_from([1.0, 0.9]),
)
@settings(max_examples=60, deadline=None)
def test_a_download_that_is_cut_at_random_or_changed_meanwhile_ends_with_what_was_announced(
    seed: int, wrong: bytes | None, wrong_answers: int, honours_ranges: float
) -> None:
    server = Cutting(seed, wrong, wrong_answers, honours_ranges)
    with tempfile.TemporaryDirectory() as directory:
        assert run(fetched(server, Path(directory))) == BASE


@given(seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_a_server_that_keeps_its_file_sends_each_byte_once_however_often_it_is_cut(seed: int) -> None:
    server = Cutting(seed, None, 0, 1.0)
    with tempfile.TemporaryDirectory() as directory:
        run(fetched(server, Path(directory)))
    assert server.sent_bytes == len(BASE)
