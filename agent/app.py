"""The composition root: the only place that knows every part. What runs as ``counterfoil run``.

The one rule: start in order, stop in reverse. Nothing below this file knows where its props come from.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from typing import Any, Final, Protocol

from agent import devices
from agent.config import Config
from agent.core import cbor, cose
from agent.core.journal import Head, JournalError
from agent.core.receipt import Seller
from agent.device_desk import DeviceDesk, at_work
from agent.errors import LedgerCorrupt, NotEnrolled, TrainingMixed
from agent.lane import Lane, LaneSettings
from agent.lane_desk import LaneDesk
from agent.local.api import create_app
from agent.local.page_links import PageLinks
from agent.local.secret import kept_secret, publish_token
from agent.local.server import make_server
from agent.local.services import LocalServices, Shop
from agent.machine import MachineClock, as_owner_of, machine_digest, stop_on_signals
from agent.overview import clock_facts, lane_looks, lane_status, ledger_facts, lender_facts
from agent.ports import OperatorBook
from agent.services import forwarding
from agent.services.explaining import explanation
from agent.services.introductions import Introducer
from agent.services.lenders import EnrolledLender, Lenders
from agent.services.operators import OperatorDesk
from agent.services.shown_codes import Sign
from agent.services.timekeeping import LaneClock
from agent.services.wallets import Patience
from agent.services.watch import Watch
from agent.store.ledger import SqliteLedger
from agent.store.operator_file import OperatorFile
from agent.store.reserve import Reserve
from agent.store.snapshot_files import SnapshotFiles
from agent.store.witness import WitnessFile
from agent.supervision import kept_up, running, until_stopped
from agent.uplink.identity import (
    Enrolled,
    certificate_life,
    certificate_sha256,
    load_authority_key,
    load_identity,
    load_journal_key,
)
from agent.uplink.remote import RemoteBackend
from agent.uplink.unix_channel import serve_unix
from drivers.device import Device, Scan
from drivers.printers.pos_printer import POSPrinter
from drivers.rendering.svg import qr_svg

LOG: Final = logging.getLogger(__name__)
MAINTENANCE_S: Final = 60.0
RESERVE_S: Final = 0.5

ActVirtually = Callable[[str, str, str], Awaitable[str]]
"""What is done, to which virtual device, and what is scanned; gives the device's name. Raises DeviceUnavailable."""


class Scenes(Protocol):
    """What comes to a training counter. No other counter has any."""

    async def play(self, act_virtually: ActVirtually, what: str) -> dict[str, Any]:
        """Let it happen; returns how the line and the paper are then. Raises DeviceUnavailable."""
        ...


def run(config: Config, scenes: Scenes | None = None) -> int:
    """``counterfoil run``: the owner of the ledger; with ``scenes``, ``counterfoil training``. Returns the exit code.

    Raises NotEnrolled, TrainingMixed before the ledger is opened, and ledger faults.
    """
    enrolled = load_identity(config.lane.identity_dir)
    if enrolled.is_training != (scenes is not None):
        raise TrainingMixed(f"Lane {enrolled.lane} is one for {'training' if enrolled.is_training else 'real sales'}.")
    return asyncio.run(_run(config, enrolled, scenes))


async def _run(config: Config, enrolled: Enrolled, scenes: Scenes | None) -> int:
    stop = stop_on_signals()
    config.lane.run_dir.mkdir(parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        reserve = Reserve(config.lane.reserve_file)
        reserve.keep()  # before the ledger: a full disk must not keep it from being opened
        ledger = SqliteLedger.open(str(config.lane.ledger_file))
        stack.callback(ledger.close)
        fixtures = await _open_fixtures(config, stack, is_training=enrolled.is_training)
        lane, desk = _compose(config, enrolled, ledger, fixtures.printer, reserve)
        stack.callback(lane.witness.look)
        await stack.enter_async_context(_served_uplink(config, lane))
        scanners = _open_scanners(config, lane, stack)
        device_desk = DeviceDesk(config, scanners, fixtures)
        serving = await stack.enter_async_context(_served_api(config, lane, desk, device_desk, scenes))
        loops = [kept_up(lane.spooler.run), kept_up(lambda: _maintained(lane)), kept_up(lane.start), _kept(reserve)]
        loops.append(kept_up(Watch(lane.events, lane_looks(lane)).run))
        if fixtures.display is not None:
            lane.display_failed = partial(_reason_of, fixtures.display)
        loops.extend(map(kept_up, at_work(config, lane, fixtures)))
        tasks = await stack.enter_async_context(running(*loops))
        LOG.info("ready", extra={"lane": lane.settings.lane})
        return await until_stopped(stop, [serving, *tasks], broken=lambda: ledger.failed)


def _compose(
    config: Config, enrolled: Enrolled, ledger: SqliteLedger, printer: POSPrinter | None, reserve: Reserve
) -> tuple[Lane, LaneDesk]:
    """Backend and lane need each other: the channel's handlers are the lane's, the lane's questions the channel's."""
    desk = LaneDesk()
    backend = RemoteBackend(desk)
    lane = Lane(
        lane_settings(config, enrolled),
        enrolled_lenders(enrolled),
        load_journal_key(config.lane.identity_dir),
        ledger=ledger,
        snapshots=SnapshotFiles(config.lane.snapshots_dir),
        backend=backend,
        printer=devices.ThreadedPrinter(printer, config.lane.language) if printer else None,
        clock=MachineClock(),
        random_bytes=os.urandom,
        free_bytes=reserve.spare_bytes,
        certificate_expires_at=lambda: _certificate_end(config),
        witness=WitnessFile(config.lane.witness_file, machine_digest()),
        introducer=Introducer(load_authority_key(config.lane.identity_dir), enrolled.merchant),
    )
    desk.serve(lane)
    return lane, desk


def lane_settings(config: Config, enrolled: Enrolled) -> LaneSettings:
    return LaneSettings(
        lane=enrolled.lane,
        store=enrolled.store,
        epoch=enrolled.epoch,
        seller=Seller(config.merchant.name, config.merchant.store_name, enrolled.lane),
        certificate_sha256=certificate_sha256(config.lane.identity_dir),
        epoch_reason=enrolled.reason,
        previous=asdict(enrolled.previous) if enrolled.previous else None,
        language=config.lane.language,
        timezone=config.lane.timezone,
        online_budget_s=config.backend.online_budget_ms / 1000,
        clock_holdover_max_s=config.limits.clock_holdover_max_s,
        print_job_ttl_s=config.limits.print_job_ttl_s,
        queue_entries_max=config.limits.queue_entries_max,
        free_bytes_min=config.limits.free_space_min_mb * 10**6,
        rails={row.rail: row.name for row in enrolled.rails},
        patience=Patience(config.backend.wallet_poll_s, config.backend.wallet_wait_max_s),
        sign=sign_of(config, enrolled),
        version=version("counterfoil"),
        is_training=enrolled.is_training,
    )


def sign_of(config: Config, enrolled: Enrolled) -> Sign | None:
    """Whom the lane's own codes pay; None: it shows none."""
    if not config.merchant.latin_name:
        return None
    return Sign(
        enrolled.merchant,
        name=config.merchant.latin_name,
        city=config.merchant.latin_city,
        country=config.merchant.country,
        local_name=config.merchant.name,
        store=enrolled.store,
        valid_s=config.backend.code_wait_max_s,
    )


def _certificate_end(config: Config) -> int | None:
    """Read each time: the uplink process renews it."""
    with contextlib.suppress(NotEnrolled):
        return certificate_life(config.lane.identity_dir)[1]
    return None


def enrolled_lenders(enrolled: Enrolled) -> list[EnrolledLender]:
    return [
        EnrolledLender(row.lender, row.name, cose.PublicKey.from_cose_key(cbor.decode(row.root)), row.keys)
        for row in enrolled.lenders
    ]


# -- the parts of the running daemon, each with its own end ------------------------------------------------------


async def _open_fixtures(config: Config, stack: contextlib.AsyncExitStack, *, is_training: bool) -> devices.Fixtures:
    fixtures = await asyncio.to_thread(devices.Fixtures.opened, config, is_training=is_training)
    stack.push_async_callback(asyncio.to_thread, fixtures.close)
    return fixtures


def _open_scanners(config: Config, lane: Lane, stack: contextlib.AsyncExitStack) -> list[Device]:
    def taken(scan: Scan) -> None:
        lane.counter.scanned(scan.raw, scan.device, scan.symbology, scan.article)

    scanners: list[Device] = [*stack.enter_context(devices.scanners_of(config, taken))]
    lane.scanners_failed = lambda: {device.name: device.state.reason for device in scanners if device.state.reason}
    return scanners


@contextlib.asynccontextmanager
async def _served_uplink(config: Config, lane: Lane) -> AsyncIterator[None]:
    backend = lane.backend
    assert isinstance(backend, RemoteBackend)
    server = await serve_unix(config.lane.uplink_socket, backend.handlers, backend.attach)
    try:
        yield
    finally:
        server.close()


@contextlib.asynccontextmanager
async def _served_api(
    config: Config, lane: Lane, desk: LaneDesk, device_desk: DeviceDesk, scenes: Scenes | None
) -> AsyncIterator[asyncio.Task[None]]:
    backend = lane.backend
    assert isinstance(backend, RemoteBackend)
    secret = _http_secret(config)
    app = create_app(
        LocalServices(
            counter=lane.counter,
            checkout=lane.checkout,
            holds=lane.holds,
            slip_refunds=lane.slip_refunds,
            lane=lane.settings.lane,
            settlement=lane.settlement,
            leases=lane.leases,
            restoration=lane.restoration,
            earlier=lane.earlier,
            insights=lane.insights,
            slips=lane.slips,
            operators=_operator_desk(config, lane),
            shifts=lane.shifts,
            events=lane.events,
            category=config.merchant.category,
            currency=config.lane.currency,
            lenders=lambda: [lender.lender for lender in lane.lenders.all()],
            new_sale_id=lambda: str(uuid.uuid4()),
            status=lambda: lane_status(lane, desk),
            explain=partial(explanation, lane.ledger),
            verify_journal=lambda: _verified_running(lane),
            check_devices=device_desk.check,
            print_test=device_desk.print_test,
            open_drawer=device_desk.open_drawer,
            test_display=device_desk.test_display,
            act_virtually=device_desk.act_virtually,
            claim=backend.claim,
            scene=partial(scenes.play, device_desk.act_virtually) if scenes else None,
            shop=Shop(config.merchant.name, config.merchant.store_name, config.lane.language),
            wallets=dict(lane.settings.rails),
            draw_code=qr_svg,
            page_links=PageLinks(),
        ),
        secret,
    )
    server, bound = make_server(app, config.agent_socket, port=config.local.port)
    lane.http_failed = lambda: server.http_fault
    serving = asyncio.create_task(server.serve(bound))
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        yield serving
    finally:
        lane.events.close()  # or whoever listens would hold the stop up
        server.stop()
        await serving


def _http_secret(config: Config) -> bytes:
    """Read, or made at the first start; the token that comes of it lies beside the Unix socket. Empty without HTTP."""
    if not config.local.port:
        return b""
    secret = kept_secret(config.lane.http_secret_file)
    publish_token(config.lane.pos_token_file, secret)
    return secret


def new_http_secret(config: Config) -> None:
    """Tokens and cookies of before end when the agent is restarted. Raises OSError."""
    with as_owner_of(config.lane.state_dir):
        kept_secret(config.lane.http_secret_file, new=True)


@contextlib.contextmanager
def open_operators(config: Config) -> Iterator[OperatorBook]:
    """Who may sign in at this lane, for a command; the daemon may run."""
    with as_owner_of(config.lane.state_dir):
        yield OperatorFile(config.lane.operators_file)


def _operator_desk(config: Config, lane: Lane) -> OperatorDesk:
    lender = lane.lenders.first.lender
    book = OperatorFile(config.lane.operators_file)
    return OperatorDesk(book, lane.ledger, lambda: lane.clock.read(lender), MachineClock(), os.urandom)


async def _kept(reserve: Reserve) -> None:
    """A disk fills within seconds: the reserve is given back before the next commit would fail."""
    held = reserve.is_held
    while True:
        if (now := reserve.keep()) != held:
            held = now
            LOG.warning("room is kept again" if held else "the disk is full: the reserve is given back")
        await asyncio.sleep(RESERVE_S)


def _reason_of(device: Device) -> str:
    return device.state.reason


async def _maintained(lane: Lane) -> None:
    while True:
        await asyncio.sleep(MAINTENANCE_S)
        await lane.maintain()


# -- the journal, checked ------------------------------------------------------------------------------------------


def verified(ledger: SqliteLedger) -> dict[str, Any]:
    """The chain walked and every cache rebuilt from it. Raises LedgerCorrupt."""
    try:
        return _head_facts(ledger.verify())
    except JournalError as error:
        raise LedgerCorrupt(str(error)) from error


async def _verified_running(lane: Lane) -> dict[str, Any]:
    try:
        return _head_facts(await lane.verify_chain())
    except JournalError as error:
        raise LedgerCorrupt(str(error)) from error


def _head_facts(head: Head) -> dict[str, Any]:
    return {"epoch": head.epoch, "number": head.number, "head": head.hash.hex(), "verified": True}


@contextlib.contextmanager
def open_offline(config: Config) -> Iterator[SqliteLedger]:
    """The ledger, for a command while the daemon is stopped. Raises LedgerInUse when it is not, and ledger faults."""
    path = config.lane.ledger_file
    if not path.exists():
        raise NotEnrolled(f"There is no ledger at {path}.")
    ledger = SqliteLedger.open(str(path), wal_pages=0)
    try:
        yield ledger
    finally:
        ledger.close()


def explained(config: Config, sale_id: str) -> dict[str, Any] | None:
    """Why a sale ended as it did, while the daemon is stopped; None: no such sale. Raises as ``open_offline`` does."""
    with as_owner_of(config.lane.state_dir), open_offline(config) as ledger:
        return explanation(ledger, sale_id)


def unsent(config: Config) -> int | None:
    """Entries of all epochs that the backend has not acknowledged; None without a ledger. Raises ledger faults."""
    if not config.lane.ledger_file.exists():
        return None
    with as_owner_of(config.lane.state_dir), open_offline(config) as ledger:
        return sum(count for _, count in forwarding.unsent(ledger))


def offline_status(config: Config, ledger: SqliteLedger) -> dict[str, Any]:
    """What `status` tells of a lane, as far as its files know it. Raises NotEnrolled and ledger faults."""
    enrolled = load_identity(config.lane.identity_dir)
    clock = LaneClock(MachineClock(), ledger, os.urandom, holdover_max_s=config.limits.clock_holdover_max_s)
    lenders = Lenders(
        enrolled.lane, enrolled_lenders(enrolled), ledger, SnapshotFiles(config.lane.snapshots_dir), clock,
        introducer=Introducer(load_authority_key(config.lane.identity_dir), enrolled.merchant),
        is_training=enrolled.is_training,
    )  # fmt: skip
    return {
        "lane": enrolled.lane,
        "store": enrolled.store,
        "training": enrolled.is_training,
        "clock": clock_facts(clock.read(lenders.first.lender)),
        **ledger_facts(ledger),
        "lenders": [lender_facts(lender, clock.read(lender.lender)) for lender in lenders.all()],
    }
