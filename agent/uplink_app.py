"""The composition root of the uplink process, and of enrollment: what runs as ``counterfoil uplink`` and ``enroll``.

The one rule: this file and ``agent.uplink`` are all of the product that ever meets the backend's network.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.config import Config
from agent.machine import as_owner_of, stop_on_signals
from agent.supervision import running, until_stopped
from agent.uplink import enrollment
from agent.uplink.client import BackendClient
from agent.uplink.connection import Line, Timeouts
from agent.uplink.identity import IDENTITY_FILE, Enrolled, load_identity
from agent.uplink.process import UplinkSettings, run_uplink
from agent.uplink.replacement import LanePlace, enroll_anew
from agent.uplink.unix_channel import connect_unix


def uplink(config: Config) -> int:
    """``counterfoil uplink``: the only process that talks to the backend. Runs until a signal ends it."""
    enrolled = load_identity(config.lane.identity_dir)
    return asyncio.run(_uplink(config, enrolled))


async def _uplink(config: Config, enrolled: Enrolled) -> int:
    stop = stop_on_signals()
    timeouts = Timeouts(config.backend.connect_timeout_ms / 1000, config.backend.transfer_timeout_s)
    line = Line(config.lane.identity_dir, config.backend.url, timeouts)
    settings = UplinkSettings(
        lane=enrolled.lane,
        spool_dir=config.lane.snapshots_dir / "spool",
        online_budget_s=config.backend.online_budget_ms / 1000,
        poll_s=config.uplink.poll_s,
        upload_entries_max=config.uplink.upload_entries_max,
        backoff_max_s=config.uplink.backoff_max_s,
        breaker_failures=config.uplink.breaker_failures,
        free_space_min_bytes=config.limits.free_space_min_mb * 10**6,
        line=line,
    )
    client = BackendClient(line.http, transfer_timeout_s=config.backend.transfer_timeout_s)
    connect: Callable[..., Any] = lambda handlers: connect_unix(config.lane.uplink_socket, handlers)  # noqa: E731
    async with line.http, running(run_uplink(client, connect, random.SystemRandom(), settings)) as tasks:
        return await until_stopped(stop, tasks)


def is_enrolled(config: Config) -> bool:
    """Whether this computer is a lane already."""
    return (config.lane.identity_dir / IDENTITY_FILE).exists()


def enroll(
    config: Config, url: str, code: str, *, replace: bool = False, is_training: bool = False
) -> tuple[Enrolled, Path | None]:
    """``counterfoil enroll``: keys, certificate, lenders, and the folder where a replaced lane is kept.

    Whatever is written belongs to the owner of the state directory, also when root runs this. Raises the faults of
    ``uplink.enrollment.enroll``.
    """
    lane = config.lane
    try:
        with as_owner_of(lane.state_dir):
            if not replace:
                return asyncio.run(enrollment.enroll(url, code, lane.identity_dir, is_training=is_training)), None
            place = LanePlace(lane.state_dir, lane.identity_dir)
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            return asyncio.run(enroll_anew(url, code, place, stamp=stamp))
    except PermissionError as error:
        raise enrollment.NotPermitted(f"{error.filename}: {error.strerror}.") from error
