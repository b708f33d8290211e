"""The reference backend with one fault at a time, to see that the suite finds each, and finds nothing else.

The one rule: a fault is a mistake that a real backend's team could make; it is put in from outside, by name, and the
table says exactly which cases fail because of it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import apsw
import cbor2

from agent.core import leases
from agent.core.journal import open_entry
from backend import access, authorizations, holds, settlement
from backend.access import Access
from backend.lenders import Lender

SLOW = ("T-15", "V-02", "L-10.concurrency", "J-18", "J-19", "J-12.unreadable", "R-06", "R-07")
"""Cases that no fault here concerns, and that would take most of the time."""

Scope = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Change = Callable[[Scope, bytes, Answer], Answer]


@dataclass(frozen=True)
class Fault:
    """``ask`` changes a request's headers, ``answer`` an answer; ``patch`` changes the backend itself."""

    about: str
    fails: frozenset[str]
    answer: Change | None = None
    ask: Callable[[Scope], Scope] | None = None
    patch: Callable[[], AbstractContextManager[Any]] = nullcontext
    before_restart: Callable[[Path], None] = lambda _path: None

    def wrap(self, app: Any) -> Any:
        """The application, seen through the fault."""

        async def faulty(scope: Scope, receive: Any, send: Any) -> None:
            scope = self.ask(scope) if self.ask else scope
            if self.answer is None or scope["path"] == "/v1/events":
                await app(scope, receive, send)
                return
            await _through(app, scope, receive, send, self.answer)

        return faulty


async def _through(app: Any, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Any, change: Change) -> None:
    """Run the request, keep what is sent and received, and send the answer as ``change`` would have it."""
    asked, told = bytearray(), []

    async def listen() -> Any:
        message = await receive()
        asked.extend(message.get("body", b""))
        return message

    async def keep(message: Any) -> None:
        told.append(message)

    await app(scope, listen, keep)
    headers = {name.decode(): value.decode() for name, value in told[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in told[1:])
    status, headers, content = change(scope, bytes(asked), (told[0]["status"], headers, content))
    if "content-length" in headers:
        headers["content-length"] = str(len(content))
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


def _is(scope: Scope, method: str, path: str) -> bool:
    return bool(scope["method"] == method and scope["path"] == path)


def _with(answer: Answer, **members: Any) -> Answer:
    """The answer as a good one, with other members."""
    fields = json.loads(answer[2]) | members
    headers = answer[1] | {"content-type": "application/json"}
    return 200, headers, json.dumps(fields).encode()


# --- answers -------------------------------------------------------------------------------------------------------
def _answers_anew(scope: Scope, _asked: bytes, answer: Answer) -> Answer:
    if scope["path"].startswith("/v1/authorizations") and answer[0] == 200 and json.loads(answer[2])["approved"]:
        return _with(answer, authorization_code=secrets.token_hex(3))
    return answer


class _FirstAnswer:
    """Keeps the first good answer by a key, and gives it to whatever comes under that key."""

    def __init__(self, method: str, path: str, key: Callable[[Scope, bytes], Any], refused: str) -> None:
        self._call, self._key, self._refused = (method, path), key, refused
        self._kept: dict[Any, Answer] = {}

    def __call__(self, scope: Scope, asked: bytes, answer: Answer) -> Answer:
        if not _is(scope, *self._call):
            return answer
        if answer[0] == 200:
            self._kept.setdefault(self._key(scope, asked), answer)
        if answer[0] == 409 and self._refused.encode() in answer[2]:
            return self._kept[self._key(scope, asked)]
        return answer


def _idempotency_key(scope: Scope, _asked: bytes) -> bytes:
    return dict(scope["headers"])[b"idempotency-key"]


def _code(_scope: Scope, asked: bytes) -> str:
    return "".join(json.loads(asked)["code"].split()).replace("-", "").upper()


def _takes_gaps(scope: Scope, asked: bytes, answer: Answer) -> Answer:
    if not (_is(scope, "POST", "/v1/journal") and answer[0] == 409 and b"journal_gap" in answer[2]):
        return answer
    upload = json.loads(asked)
    numbers = range(upload["first"], upload["first"] + len(upload["entries"]))
    results = [{"number": number, "result": "accepted"} for number in numbers]
    return _with(answer, acknowledged_through=numbers[-1], posted_through=numbers[-1], results=results)


def _skips_poisoned(scope: Scope, _asked: bytes, answer: Answer) -> Answer:
    if not _is(scope, "POST", "/v1/journal") or answer[0] != 200:
        return answer
    results = [row for row in json.loads(answer[2])["results"] if row["result"] != "parked"]
    return _with(answer, results=results)


def _unsigned_time(scope: Scope, _asked: bytes, answer: Answer) -> Answer:
    if not _is(scope, "POST", "/v1/heartbeat") or answer[0] != 200:
        return answer
    signed = json.loads(answer[2])["time"]
    return _with(answer, time=signed[:-8] + ("AAAAAAAA" if signed[-8:] != "AAAAAAAA" else "BBBBBBBB"))


def _matches_anything(scope: Scope, _asked: bytes, answer: Answer) -> Answer:
    if _is(scope, "POST", "/v1/settlements") and answer[0] == 200:
        return _with(answer, matched=True, differences=[])
    return answer


def _plain_text(_scope: Scope, _asked: bytes, answer: Answer) -> Answer:
    if answer[0] == 404:
        return 404, answer[1] | {"content-type": "text/plain"}, b"Not Found"
    return answer


def _without_header(name: bytes) -> Callable[[Scope], Scope]:
    def ask(scope: Scope) -> Scope:
        return scope | {"headers": [(key, value) for key, value in scope["headers"] if key != name]}

    return ask


# --- the backend itself --------------------------------------------------------------------------------------------
@contextmanager
def _no_nonce() -> Iterator[None]:
    sign = Lender.sign_time
    with mock.patch.object(Lender, "sign_time", lambda self, _nonce, now_s: sign(self, bytes(16), now_s)):
        yield


def _over_limit() -> AbstractContextManager[Any]:
    return mock.patch.object(leases, "fund_online", lambda amount_minor, **_: leases.OnlineFunding(True, 0))


@contextmanager
def _forgets_lease() -> Iterator[None]:
    """Counts no spend of a lease, so that it seems whole for ever."""
    spend = holds.allowances.spend

    def restoring_only(lane: str, epoch: int, lender: str, token: bytes, delta_minor: int) -> None:
        spend(lane, epoch, lender, token, min(0, delta_minor))

    with mock.patch.object(holds.allowances, "spend", restoring_only):
        yield


@contextmanager
def _reencodes() -> Iterator[None]:
    """Hashes an entry as another CBOR library writes it: maps in the order of their keys' text."""

    def hash_of(lane: str, epoch: int, number: int) -> bytes:
        (data,) = settlement.ingest.entries_between(lane, epoch, number, number)
        fields = list(cbor2.loads(data))
        fields[-1] = dict(sorted(open_entry(data).entry.body.items()))
        return hashlib.sha256(cbor2.dumps(fields)).digest()

    with mock.patch.object(settlement, "_hash_of", hash_of):
        yield


def _loses_the_last(path: Path) -> None:
    """What was acknowledged last was not durable."""
    kept = "SELECT data FROM journal_entry WHERE lane = ? AND epoch = ? AND number = 10"
    with apsw.Connection(str(path)) as database:
        lost = list(database.execute("SELECT lane, epoch FROM journal WHERE number = 21"))
        for lane, epoch in lost:
            mine = (lane, epoch)
            ((data,),) = database.execute(kept, mine)
            database.execute("DELETE FROM journal_entry WHERE lane = ? AND epoch = ? AND number > 10", mine)
            database.execute(
                "UPDATE journal SET number = 10, posted_number = min(posted_number, 10), hash = ? WHERE lane = ? AND"
                " epoch = ?",
                (hashlib.sha256(data).digest(), *mine),
            )


FAULTS: dict[str, Fault] = {
    "encodes entries anew": Fault(
        "hashes its own encoding of an entry",
        frozenset({"J-21.bytes-kept", "B-01.matched", "B-04.head-differs", "B-07.range-", "W-08.batch"}),
        patch=_reencodes,
    ),
    "acknowledges before storing": Fault(
        "a restart loses acknowledged entries", frozenset({"J-25.durable"}), before_restart=_loses_the_last
    ),
    "answers duplicates anew": Fault(
        "a repeated request gets a fresh answer",
        frozenset({"A-02.repeated", "A-03.conflict", "A-05.inquiry", "A-22.at-once", "W-02.pays", "P-07.once"}),
        answer=_answers_anew,
    ),
    "ignores the idempotency key": Fault(
        "another request under a key gets the first one's answer",
        frozenset({"A-03.conflict"}),
        answer=_FirstAnswer("POST", "/v1/authorizations", _idempotency_key, "idempotency_conflict"),
    ),
    "accepts gaps": Fault("acknowledges entries that do not follow", frozenset({"J-04.gap"}), answer=_takes_gaps),
    "skips poisoned entries": Fault(
        "says nothing of what it set aside",
        frozenset(
            {
                "L-06.closed-epoch",
                "L-13.captured",
                "L-13.captured-too-much",
                "I-09.no-statement",
                "I-10.not-offered",
                "J-07.unknown-kind",
                "J-09.poisoned",
                "J-22.other-lender",
            }
        ),
        answer=_skips_poisoned,
    ),
    "leaves no tombstone": Fault(
        "a late request takes effect after its reversal",
        frozenset({"A-18.after-reversal", "P-05.given-up"}),
        patch=lambda: mock.patch.object(holds, "bury", lambda _key, _answer: None),
    ),
    "does not sign the time": Fault(
        "the signature of the time is wrong", frozenset({"D-05.rotated", "H-01.signed-time"}), answer=_unsigned_time
    ),
    "does not bind the time": Fault(
        "the nonce is not in the signed time", frozenset({"H-02.bound-time"}), patch=_no_nonce
    ),
    "knows no 304": Fault(
        "sends again what the lane has",
        frozenset({"D-03.not-modified", "S-08.snapshot-not-modified"}),
        ask=_without_header(b"if-none-match"),
    ),
    "knows no ranges": Fault(
        "begins every download anew", frozenset({"S-05.ranges", "S-06.range-outside"}), ask=_without_header(b"range")
    ),
    "approves over the limit": Fault(
        "funds every online sale",
        frozenset(
            {
                "A-08.over-limit",
                "A-16.same-sale",
                "L-10.leased-is-taken",
                "L-11.lane-declined",
                "L-13.captured",
                "L-20.limit-cut",
                "M-01.two-accounts",
            }
        ),
        patch=_over_limit,
    ),
    "forgets what a lease paid": Fault(
        "a lease seems whole after a sale",
        frozenset(
            {
                "L-02.beyond",
                "L-04.online-then-alone",
                "L-07.given-back",
                "L-08.reversal-restores-no-more",
                "L-17.both-approved",
            }
        ),
        patch=_forgets_lease,
    ),
    "settles anything": Fault(
        "every batch is matched", frozenset({"B-03.totals-differ", "B-04.head-differs"}), answer=_matches_anything
    ),
    "redeems a code twice": Fault(
        "a second device gets the first one's identity",
        frozenset({"E-05.used"}),
        answer=_FirstAnswer("POST", "/v1/enroll", _code, "code_used"),
    ),
    "serves revoked lanes": Fault(
        "any certificate of the CA will do",
        frozenset({"C-04.expired", "C-05.replaced", "C-06.revoked"}),
        patch=lambda: mock.patch.object(access, "of", lambda _name, now_s: Access.FULL),
    ),
    "lets proofs be used again": Fault(
        "a pass pays for two sales",
        frozenset({"A-15.replayed", "L-19.proof-twice"}),
        patch=lambda: mock.patch.object(authorizations, "consume_proof", lambda *_: True),
    ),
    "refuses in plain text": Fault(
        "a 404 is no problem document",
        frozenset(
            {
                "T-07.unknown-path",
                "D-04.unknown-lender",
                "S-09.no-such-layer",
                "A-06.unknown-attempt",
                "A-07.other-lane",
                "A-21.other-lender",
                "B-08.other-lender",
                "F-02.no-sale",
                "W-09.not-served",
            }
        ),
        answer=_plain_text,
    ),
}
