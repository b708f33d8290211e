"""Seeded mutation of journal entries and uploads: a typed refusal or the same entry; the backend stays up."""

import asyncio
import contextlib
import json
import os
import random
from base64 import urlsafe_b64encode
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import httpx
import pytest
import zstandard

from agent.core import cbor, cose, journal
from agent.core.journal import Draft, Head, JournalError, Kind, advance, follow, open_entry, seal
from backend.api import LANE_SCOPE, create_app
from backend.database import transaction
from backend.identity import LaneName
from backend.ingest import Upload
from tests.backend.lanes import PaperLane, Shop
from tests.fuzz.test_fuzz_pass import mutant

CASES = int(os.environ.get("COUNTERFOIL_FUZZ_CASES", "100000"))
SEED = int(os.environ.get("COUNTERFOIL_FUZZ_SEED", "20261122"))

pytestmark = pytest.mark.proof

HEAD = Head("lane-01", 1, 6, b"h" * 32, {"demo": 1_800_000_000})
DRAFTS = (
    Draft(Kind.EPOCH_START, {"certificate": b"c" * 32, "reason": "enrolled"}),
    Draft(Kind.AUTHORIZATION, {"amount_minor": 100, "account": b"a" * 16, "lease": None}, "demo", "sale-0001", 1),
    Draft(Kind.PRINT, {"job_id": 1, "rung": "confirmed", "copy": False}, "demo", "sale-0001", 1),
)
ENTRIES = [
    seal(draft, HEAD, recorded_at=1_800_000_000, clock=(True, -3), lease_horizon=1_800_000_000) for draft in DRAFTS
]


def test_a_mutant_of_an_entry_is_refused_or_is_read_as_the_bytes_that_it_is() -> None:
    rng = random.Random(SEED)
    read = 0
    for number in range(CASES):
        data = mutant(rng, ENTRIES[number % len(ENTRIES)].data)
        try:
            sealed = open_entry(data)
        except JournalError as error:
            assert error.reason in ("malformed", "version")
            continue
        read += 1
        assert sealed.entry.encode() == data == sealed.data
        assert sealed.hash == journal.digest(data)
    assert 0 < read < CASES


def test_a_chain_with_a_mutant_is_followed_to_the_entry_before_it() -> None:
    rng = random.Random(SEED + 1)
    head, chain = Head("lane-01", 1), []
    for number in range(5):
        chain.append(seal(DRAFTS[2], head, recorded_at=number, clock=(True, 0), lease_horizon=0))
        head = advance(head, chain[-1])
    data = [sealed.data for sealed in chain]
    for _ in range(CASES // 10):
        at = rng.randrange(5)
        changed = mutant(rng, data[at])
        followed = 0
        try:
            for _sealed in follow(Head("lane-01", 1), [*data[:at], changed, *data[at + 1 :]]):
                followed += 1
        except JournalError:
            assert followed in (at, at + 1)  # a whole entry with another content: the next does not name its hash
        else:
            assert changed == data[at] or at == 4


VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**53, 2**70, "", "A", "B", "é" * 100, [], {}, [[]], ["AAAA"], ["!"], ["oA"] * 1001),
    *({"a": 1}, "A" * 70_000, [1], [None], "\x00"),
)
BODY_VALUES: tuple[cbor.Value, ...] = (
    *(None, True, 0, -1, 1, 2**53, 2**63, -(2**63), "", "CNY", "USD", "x" * 1000, b"", b"a" * 16, b"a" * 17, [], {}),
    *({"epoch": 1, "delta_minor": -5}, {"epoch": 1, "debit_minor": 2**60}, {"epoch": "1"}, [1], {"lease": None}),
)
BODY: dict[str, cbor.Value] = {
    "amount_minor": 1_000, "currency": "CNY", "category": "5411", "cti": b"c" * 8, "code": b"d" * 8,
    "scanned_at": 1_800_000_000, "capture": "later", "lease": {"epoch": 1, "delta_minor": 0, "debit_minor": 0},
    "approved": True, "response_code": "00", "reason": "approved", "rules": [], "policy_version": 1,
    "authorization_code": "A1B2C3", "snapshot_sequence": 1, "clock_source": "signed", "funding": "lease",
    "online_unknown": False, "batch": 1, "first_number": 1, "last_number": 1, "totals": {}, "sequence": 1,
    "version": 1, "digest": b"g" * 32, "certificate": b"c" * 32, "journal_key": {}, "job_id": 1,
    "rung": "confirmed", "copy": False, "situation": None,
}  # fmt: skip
"""Every field that a body of any kind may have."""


FIRST = Head("A", 1)
SALES = ("sale-1", "sale-2")
SALE_KINDS = (Kind.ONLINE_INTENT, Kind.ONLINE_OUTCOME, Kind.AUTHORIZATION, Kind.DECLINE, Kind.CAPTURE, Kind.REVERSAL)
ENTRIES_A_DAY = 50
ENTRIES_AN_UPLOAD = (1, 1, 2, 3, 5, 8, 13)
BEFORE_THE_BOOKS = ("lender_unknown", "kind_unknown", "entry_malformed")
"""Reasons of entries that the books never hear of."""


class Undo(Exception):
    """Back to the books as they were."""


class MadLane:
    """A lane whose entries are whole, in order and signed, and say anything at all."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.shop = Shop.open(":memory:", 100_000)
        self.lane: PaperLane = self.shop.lanes["A"]

    def entries(self, head: Head = FIRST, count: int | None = None) -> list[bytes]:
        """The next entries of a few sales, one to four; most bodies have a field or two that are anything."""
        chain = []
        for _ in range(count or self.rng.randint(1, 4)):
            sealed = seal(
                self._draft(),
                head,
                recorded_at=self.rng.choice((0, 1_800_000_000)),
                clock=(True, 0),
                lease_horizon=self.rng.choice((0, 1_800_000_000, 2**53 - 1)),
            )
            head = advance(head, sealed)
            chain.append(sealed.data)
        return chain

    def _draft(self) -> Draft:
        rng = self.rng
        body: dict[str, cbor.Value] = BODY | {"account": self.shop.token}
        for name in rng.sample(sorted(body), rng.choice((0, 0, 1, 1, 2))):
            body[name] = rng.choice(BODY_VALUES)
        kind = rng.choice((*SALE_KINDS * 3, *map(str, Kind), "", "unheard_of"))
        lender, sale_id = rng.choice((*["demo"] * 18, None, "nobody")), rng.choice((*SALES * 4, None, ""))
        return Draft(kind, body, lender, sale_id, rng.choice((1, 1, 1, 2, 0, None)))

    def upload(self, entries: list[bytes], head: Head = FIRST) -> Upload:
        """These entries, which follow ``head``, signed."""
        last = Head("A", 1, head.number + len(entries), journal.digest(entries[-1]))
        statement = journal.upload_statement(last, head.number + 1, len(entries))
        signature = cose.sign1(statement, self.lane.key, typ=journal.UPLOAD_TYP)
        return Upload("A", 1, head.number + 1, entries, signature)

    def body(self, upload: Upload) -> dict[str, Any]:
        """The upload as it is sent."""
        texts = [b64(entry) for entry in upload.entries]
        return {"lane": "A", "epoch": 1, "first": 1, "entries": texts, "signature": b64(upload.signature)}

    def request(self) -> tuple[bytes, dict[str, str]]:
        """A body and its headers, mutated as bytes, JSON value, compression, signed entries, or not at all."""
        rng, body = self.rng, self.body(self.upload(self.entries()))
        match rng.randrange(5):
            case 0:
                return mutant(rng, json.dumps(body).encode()), {}
            case 1:
                body[rng.choice(list(body))] = rng.choice(VALUES)
            case 2:
                return mutant(rng, zstandard.compress(json.dumps(body).encode())), {"content-encoding": "zstd"}
            case 3:
                body = self.body(self.upload([mutant(rng, entry) for entry in self.entries()]))
        return json.dumps(body).encode(), {}


def test_whatever_a_lane_has_signed_is_posted_parked_or_disputed_and_the_books_stay_right() -> None:
    """Every case is an entry: signed, uploaded alone or with others, posted. They follow each other for a day, which is
    undone: 1 ms each, on every core. Most of them must reach the books."""
    shards = os.cpu_count() or 1
    with ProcessPoolExecutor(shards) as pool:
        told = list(pool.map(mad_days, range(shards), [-(-CASES // (shards * ENTRIES_A_DAY))] * shards))
    results, reasons = sum((one for one, _ in told), Counter()), sum((two for _, two in told), Counter())
    before = sum(reasons[reason] for reason in BEFORE_THE_BOOKS)
    print(
        f"\n{results.total()} entries: {dict(results)}; {1 - before / results.total():.0%} reached the books: {reasons}"
    )
    assert {"accepted", "parked", "disputed"} <= results.keys(), results
    assert results.total() >= CASES
    assert before < results.total() * 0.4, reasons
    assert len(reasons) > 10 or CASES < 10_000, reasons


def mad_days(shard: int, days: int) -> tuple[Counter[str], Counter[str]]:
    """Results and reasons of so many days of a lane; after each the books must be right."""
    mad = MadLane(random.Random(SEED + 2 + 1_000 * shard))
    backend, results, reasons = mad.shop.backend, Counter[str](), Counter[str]()
    for _ in range(days):
        head = FIRST
        with contextlib.suppress(Undo), transaction(backend.database):
            while head.number < FIRST.number + ENTRIES_A_DAY:
                entries = mad.entries(head, mad.rng.choice(ENTRIES_AN_UPLOAD))
                answer = json.loads(backend.ingest(mad.upload(entries, head)))
                for sealed in list(follow(head, entries)):
                    head = advance(head, sealed)
                results.update(row["result"] for row in answer["results"])
                reasons.update(row["reason"] for row in answer["results"] if row["result"] != "accepted")
                assert answer["acknowledged_through"] == answer["posted_through"] == head.number
            assert mad.shop.findings() == []
            raise Undo
    mad.shop.close()
    return results, reasons


def test_no_upload_whatever_it_holds_is_an_error_of_the_backend() -> None:
    """Through HTTP: a fortieth of the cases, because each is a whole request; what entries mean is tried above."""
    rng = random.Random(SEED + 3)

    async def test() -> Counter[int]:
        statuses = Counter[int]()
        for _ in range(max(2, CASES // 800)):
            mad = MadLane(rng)
            transport = httpx.ASGITransport(app=certified(mad))
            async with httpx.AsyncClient(transport=transport, base_url="https://backend") as client:
                for _ in range(20):
                    content, headers = mad.request()
                    response = await client.post("/v1/journal", content=content, headers=headers)
                    statuses[response.status_code] += 1
                    assert response.status_code < 500, (response.status_code, response.text, content[:400])
                    assert "Traceback" not in response.text
            assert mad.shop.findings() == []
            mad.shop.close()
        return statuses

    statuses = asyncio.run(test())
    assert statuses[200] > 0 < sum(count for status, count in statuses.items() if status >= 400), statuses


def certified(mad: MadLane) -> Any:
    """The API behind a TLS end that has checked the lane's certificate."""
    app = create_app(mad.shop.backend)

    async def with_certificate(scope: Any, receive: Any, send: Any) -> None:
        scope[LANE_SCOPE] = LaneName("A", "merchant-1", "store-1")
        await app(scope, receive, send)

    return with_certificate


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
