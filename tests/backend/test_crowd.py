"""Promise 4 in a crowd: 64 clients on one account, two server processes, one PostgreSQL database."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backend import accounts, audit, certificates, snapshots
from backend.cli.files import DATABASE_NOTE
from backend.cli.serve import DEFAULT_ALLOWANCE_MINOR
from backend.database import open_database, transact, transaction
from backend.demo_data import compose_demo
from backend.identity import Authority, LaneName, private_pem
from backend.schema import Account
from backend.snapshots import Plan
from backend.wire import b64url
from tests.backend.books import postgres
from tests.backend.lanes import LENDER, Clock, PaperLane, Shop
from tests.backend.test_server import serving

CLIENTS, LEASE_MINOR = 64, 300
LIMIT_MINOR, CUT_MINOR = 8 * DEFAULT_ALLOWANCE_MINOR + 10_000, 8 * DEFAULT_ALLOWANCE_MINOR + 9_000
"""The servers lease out what they may, meanwhile: what is left is not enough for all 64."""


@pytest.fixture
def shop() -> Iterator[Shop]:
    clock, chance = Clock(int(time.time())), random.Random(64)
    backend, phones = compose_demo(
        open_database(postgres().new_database()),
        [LIMIT_MINOR],
        clock=clock,
        randomness=chance.randbytes,
        plan=Plan(LEASE_MINOR),
        authority=Authority.create(clock.now_s),
    )
    opened = Shop(backend, clock, phones, chance)
    for name in "ABCDEFGH":
        opened.lanes[name] = PaperLane(opened, name)
        opened.cut(name)
        opened.lanes[name].install()
        opened.lanes[name].upload()
    yield opened
    opened.close()


@pytest.fixture
def urls(shop: Shop, tmp_path: Path) -> Iterator[list[str]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(contextlib.contextmanager(serving)(_place(shop, tmp_path / n), "-m", "backend.cli"))
            for n in "12"
        ]


def _place(shop: Shop, directory: Path) -> Path:
    authority = shop.backend.authority
    directory.mkdir()
    server_key, server_certificate = authority.issue_server(["localhost"], shop.clock.now_s)
    files = {"ca.key": authority.key_pem, "ca.crt": authority.certificate_pem, "server.key": server_key}
    files |= {"server.crt": server_certificate, DATABASE_NOTE: shop.backend.database.database.encode()}
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return directory


def _identity(shop: Shop, lane: str, directory: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    asked = csr.public_bytes(serialization.Encoding.PEM)
    name = LaneName(lane, "merchant-1", "store-1")
    with transaction(shop.backend.database):
        issued = certificates.issue(asked.decode(), name, 1, shop.backend.authority, now_s=shop.clock.now_s)
    (directory / f"{lane}.crt").write_text(issued)
    (directory / f"{lane}.key").write_bytes(private_pem(key))
    context = ssl.create_default_context(cadata=shop.backend.authority.certificate_pem.decode())
    context.load_cert_chain(directory / f"{lane}.crt", directory / f"{lane}.key")
    return context


async def _sell(client: httpx.AsyncClient, lane: str, raw: bytes) -> int:
    """What was approved."""
    asked = json.loads(raw)
    key = f"{LENDER}/{lane}/{asked['sale_id']}/1"
    answer = await _answer(client, "/v1/authorizations", raw, {"Idempotency-Key": key})
    return int(asked["amount"]["minor"]) if answer["approved"] else 0


async def _upload(client: httpx.AsyncClient, paper: PaperLane) -> None:
    upload = paper.signed_upload()
    body = {"lane": upload.lane, "epoch": 1, "first": upload.first, "signature": b64url(upload.signature)}
    raw = json.dumps(body | {"entries": [b64url(entry) for entry in upload.entries]}).encode()
    answer = await _answer(client, "/v1/journal", raw, {})
    assert {row["result"] for row in answer["results"]} <= {"accepted", "duplicate"}, answer


async def _answer(client: httpx.AsyncClient, path: str, raw: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """A server that is busy is asked again, as lanes do."""
    for _ in range(600):
        answer = await client.post(path, content=raw, headers=headers)
        assert answer.status_code in (200, 503), answer.text
        if answer.status_code == 200:
            return dict(answer.json())
        await asyncio.sleep(0.05)
    raise AssertionError("busy for ever")


def _cut_limit(shop: Shop) -> None:
    def cut() -> None:
        account = accounts.find(LENDER, shop.token)
        assert account is not None
        promised = audit.account_state(account).outstanding_minor
        accounts.set_limit(account, CUT_MINOR, outstanding_minor=promised)

    transact(shop.backend.database, cut)


def _promised(shop: Shop) -> int:
    with transaction(shop.backend.database):
        state = audit.account_state(Account.get(Account.token == shop.token))
    return state.used_minor + state.held_minor + state.outstanding_minor


def _cut_layer(shop: Shop, lane: str) -> None:
    """Nothing is cut where a server is just cutting for the same lane."""
    backend = shop.backend
    snapshots.build(
        backend.database, lane, backend.lenders[LENDER], backend.plan, is_base=False, now_s=shop.clock.now_s
    )


async def _crowd(shop: Shop, urls: list[str], directory: Path) -> tuple[int, list[int]]:
    """What was approved online, and what was promised at each look."""
    contexts = {name: _identity(shop, name, directory) for name in shop.lanes}
    async with contextlib.AsyncExitStack() as stack:
        clients = {}
        for name, context in contexts.items():
            for number, url in enumerate(urls):
                client = httpx.AsyncClient(base_url=url, verify=context, timeout=60)
                clients[name, number] = await stack.enter_async_context(client)
        tasks = []
        for number in range(CLIENTS):
            paper = shop.lanes["ABCDEFGH"[number % 8]]
            raw = paper.request(shop.chance.randint(100, 400), f"sale-{number:04}")
            tasks.append(asyncio.create_task(_sell(clients[paper.name, number // 8 % 2], paper.name, raw)))
        for number, paper in enumerate(shop.lanes.values()):
            paper.stand_in(LEASE_MINOR - 50)
            tasks.append(asyncio.create_task(_upload(clients[paper.name, number % 2], paper)))
        looks = []
        while not all(task.done() for task in tasks):
            looks.append(_promised(shop))
            if len(looks) == 5:
                _cut_limit(shop)
            _cut_layer(shop, shop.chance.choice("ABCDEFGH"))
            await asyncio.sleep(0.05)
        return sum(filter(None, await asyncio.gather(*tasks))), [*looks, _promised(shop)]


def test_64_clients_at_two_servers_never_push_an_account_above_its_limit(
    shop: Shop, urls: list[str], tmp_path: Path
) -> None:
    approved, looks = asyncio.run(_crowd(shop, urls, tmp_path))
    assert max(looks) <= LIMIT_MINOR, looks
    assert approved > 0
    while shop.backend.post_pending(1_000):
        pass
    stood_in = len(shop.lanes) * (LEASE_MINOR - 50)
    assert shop.account().held_minor == approved + stood_in
    assert shop.findings() == []
