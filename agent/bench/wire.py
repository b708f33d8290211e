"""A night's queues of several lanes, brought to a real backend over mutual TLS, beside the same bytes and same rows.

This process plays the lanes: their journals are written, signed and compressed before the clock starts, so that what is
measured is the line and the backend. The one rule: entries are of real chains, signed by enrolled keys, and every one
of them must be accepted.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import zstandard

from agent.bench.measure import Figure
from agent.bench.raw_bytes import raw_per_s
from agent.core import cose
from agent.core.journal import UPLOAD_TYP, Draft, Head, Kind, Sealed, advance, seal, upload_statement
from agent.demo.props import Program, ask, command, free_port, wait_for
from agent.uplink import enrollment
from agent.uplink.answers import encode_base64url, encode_json
from agent.uplink.client import ZSTD_LEVEL
from agent.uplink.connection import Timeouts, make_client
from agent.uplink.identity import load_journal_key
from backend.database import inserting, open_database, put_many, transaction
from backend.schema import JournalEntry

UPLOAD_ENTRIES: Final = 500
CUSTOMERS: Final = 100
RICH_MINOR: Final = 100_000_000
LEASE_MINOR: Final = 10_000_000
INGEST_SHARE_MIN: Final = 0.5
READY_S: Final = 30.0
POSTED_S: Final = 600.0
LENDER: Final = "demo"
US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Queue:
    """One lane: where its identity lies, its entries, its uploads as bodies of requests; ``last`` is an upload of the
    last entry alone."""

    lane: str
    identity_dir: Path
    entries: list[bytes]
    bodies: list[bytes]
    last: bytes


@dataclass(frozen=True, slots=True)
class Drained:
    """Seconds until everything was acknowledged, until it was posted too, and of the backend's processor for both."""

    acknowledged_s: float
    posted_s: float
    acknowledging_processor_s: float
    processor_s: float


def wire_figures(out: Path, entries: int, lanes: int, database: str | None) -> Iterator[Figure]:
    """``database`` is the URL of an empty PostgreSQL database, or None for a SQLite file."""
    where = ("--dir", str(out / "backend"))
    init = [*where, *(("--database", database) if database else ())]
    ask(*command("counterfoil-backend", "init", *init, "--json"))
    opened = ask(*command("counterfoil-backend", "account", "add", *where, "--count", str(CUSTOMERS), "--json",
                          "--limit-minor", str(RICH_MINOR)))  # fmt: skip
    accounts = [bytes.fromhex(account["account"]) for account in opened["accounts"]]
    port = free_port()
    options = ("--port", str(port), "--allowance-minor", str(LEASE_MINOR), "--refresh-s", "3600")
    backend = Program("backend", command("counterfoil-backend", "serve", *where, *options), out)
    backend.start()
    url, names = f"https://localhost:{port}", [f"lane-{number:02}" for number in range(1, lanes + 1)]
    try:
        wait_for("the backend answers", lambda: _listens(port), READY_S)
        queues = [_queue(out, where, url, lane, _journal(lane, accounts, entries // lanes)) for lane in names]
        ask(*command("counterfoil-backend", "snapshot", "build", *where, "--json"))
        drained = asyncio.run(_drain(queues, url, lambda: backend.processor_s))
    finally:
        backend.stop()
    raw = raw_per_s(out, [queue.bodies for queue in queues]) * UPLOAD_ENTRIES
    bare = _bare_per_s(database or str(out / "backend" / "backend.db"), queues)
    yield from _figures("PostgreSQL" if database else "SQLite", queues, drained, raw, bare)


def _figures(name: str, queues: list[Queue], drained: Drained, raw: float, bare: float) -> Iterator[Figure]:
    unit, count = "entries/s", sum(len(queue.entries) for queue in queues)
    stored, posted = count / drained.acknowledged_s, count / drained.posted_s
    yield Figure(f"raw bytes over the same TLS, {len(queues)} lanes", raw, unit)
    yield Figure(f"bare batched inserts, {name}", bare, unit)
    yield Figure(
        f"lanes drain over TLS, {name}: acknowledged", stored, unit, stored / bare, "bare inserts",
        f">= {INGEST_SHARE_MIN}",
    )  # fmt: skip
    yield Figure(f"lanes drain over TLS, {name}: against TLS", stored, unit, stored / raw, "raw bytes")
    yield Figure(f"lanes drain over TLS, {name}: posted too", posted, unit, posted / bare, "bare inserts")
    acknowledging_us, both_us = drained.acknowledging_processor_s / count * US, drained.processor_s / count * US
    yield Figure(f"backend's processor time an entry, {name}: acknowledged", acknowledging_us, "us")
    yield Figure(
        f"backend's processor time an entry, {name}", both_us, "us", both_us / acknowledging_us, "acknowledged"
    )
    yield Figure("bytes of an entry", sum(len(data) for queue in queues for data in queue.entries) / count, "bytes")


def _queue(out: Path, where: tuple[str, str], url: str, lane: str, journal: Iterator[Sealed]) -> Queue:
    """An enrolled lane and all that it has to send."""
    code: str = ask(*command("counterfoil-backend", "enroll-code", *where, "--lane", lane, "--json"))["code"]
    asyncio.run(enrollment.enroll(url, code, out / lane))
    written = list(journal)
    key = load_journal_key(out / lane)
    bodies = [_body(lane, written[at : at + UPLOAD_ENTRIES], key) for at in range(0, len(written), UPLOAD_ENTRIES)]
    return Queue(lane, out / lane, [sealed.data for sealed in written], bodies, _body(lane, written[-1:], key))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _journal(lane: str, accounts: list[bytes], entries: int) -> Iterator[Sealed]:
    """Stand-in sales of one minor unit, each an authorization and its capture, with the fields that real ones have."""
    head, now_s = Head(lane, 1), int(time.time())
    drafts = (draft for number in range(entries // 2) for draft in _sale(f"{lane}-{number:08}", accounts, number))
    for draft in drafts:
        sealed = seal(draft, head, recorded_at=now_s, clock=(True, 0), lease_horizon=now_s)
        head = advance(head, sealed)
        yield sealed


def _sale(sale_id: str, accounts: list[bytes], number: int) -> tuple[Draft, Draft]:
    amount = {"amount_minor": 1, "currency": "CNY"}
    approved: dict[str, Any] = amount | {
        "capture": "at_once", "category": "5411", "account": accounts[number % len(accounts)], "cti": os.urandom(8),
        "code": os.urandom(8), "scanned_at": int(time.time()), "response_code": "00", "reason": "approved_offline",
        "rules": [["floor_limit", "go_online", "no"], ["velocity_lower", "go_online", "no"]], "policy_version": 1,
        "snapshot_sequence": 1, "clock_source": "signed", "online_unknown": False, "authorization_code": "A1B2C3",
        "funding": "lease", "lease": {"epoch": 1, "delta_minor": 1},
    }  # fmt: skip
    return Draft(Kind.AUTHORIZATION, approved, LENDER, sale_id, 1), Draft(Kind.CAPTURE, amount, LENDER, sale_id, 1)


def _body(lane: str, chosen: list[Sealed], key: cose.Signer) -> bytes:
    first, last = chosen[0].entry.number, chosen[-1]
    end = Head(lane, 1, last.entry.number, last.hash)
    signature = cose.sign1(upload_statement(end, first, len(chosen)), key, typ=UPLOAD_TYP)
    body: dict[str, Any] = {"lane": lane, "epoch": 1, "first": first, "signature": encode_base64url(signature)}
    body["entries"] = [encode_base64url(sealed.data) for sealed in chosen]
    return zstandard.compress(encode_json(body), ZSTD_LEVEL)


async def _drain(queues: list[Queue], url: str, processor_s: Callable[[], float]) -> Drained:
    timeouts = Timeouts(10.0, POSTED_S)
    clients = [make_client(queue.identity_dir, url, timeouts) for queue in queues]
    try:
        for client in clients:
            await client.get("/v1/keys", params={"lender": LENDER})  # the handshake is measured elsewhere
        began, used_s = time.perf_counter(), processor_s()
        pairs = list(zip(clients, queues, strict=True))
        await asyncio.gather(*(_send(client, queue) for client, queue in pairs))
        acknowledged_s, acknowledging_s = time.perf_counter() - began, processor_s() - used_s
        await asyncio.gather(*(_posted(client, queue) for client, queue in pairs))
        return Drained(acknowledged_s, time.perf_counter() - began, acknowledging_s, processor_s() - used_s)
    finally:
        for client in clients:
            await client.aclose()


async def _send(client: Any, queue: Queue) -> None:
    for body in queue.bodies:
        answer = await _upload(client, body)
    assert answer["acknowledged_through"] == len(queue.entries), answer["acknowledged_through"]


async def _posted(client: Any, queue: Queue) -> None:
    """The last entry again, which is harmless: its answer says how far the journal is posted."""
    async with asyncio.timeout(POSTED_S):
        while True:
            answer = await _upload(client, queue.last)
            assert {result["result"] for result in answer["results"]} == {"duplicate"}, answer["results"][0]
            if answer["posted_through"] == len(queue.entries):
                return
            await asyncio.sleep(0.5)


async def _upload(client: Any, body: bytes) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
    answer = await client.post("/v1/journal", content=body, headers=headers)
    answer.raise_for_status()
    found: dict[str, Any] = json.loads(answer.content)
    return found


def _bare_per_s(database: str, queues: list[Queue]) -> float:
    """The same rows, 500 in a transaction, into the same table with the same durability; under names of their own."""
    names, insert, spent_s = JournalEntry._meta.sorted_field_names, inserting(JournalEntry), 0.0
    with closing(open_database(database)) as opened:
        for queue in queues:
            common = {"lane": f"bare-{queue.lane}", "epoch": 1, "kind": str(Kind.CAPTURE), "result": "accepted"}
            for at in range(0, len(queue.entries), UPLOAD_ENTRIES):
                chosen = enumerate(queue.entries[at : at + UPLOAD_ENTRIES], at + 1)
                rows = [tuple((common | {"number": n, "data": data}).get(name) for name in names) for n, data in chosen]
                began = time.perf_counter()
                with transaction(opened):
                    put_many(JournalEntry, insert, rows)
                spent_s += time.perf_counter() - began
    return sum(len(queue.entries) for queue in queues) / spent_s
