"""A computer that was a lane becomes one anew: its old keys and ledger are kept aside, never deleted.

The one rule: the old identity goes first and the new one comes last. So a crash leaves the old lane, no lane or the new
one, and never an identity with the ledger of another; the same command goes on where it ended.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import NotEnrolled
from agent.uplink import enrollment
from agent.uplink.enrollment import MakeHttp
from agent.uplink.enrollment_code import Code
from agent.uplink.identity import IDENTITY_FILE, Enrolled, load_identity, sync_directory

FRESH: Final = "identity.new"
PENDING: Final = "replaced.pending"


@dataclass(frozen=True, slots=True)
class LanePlace:
    """Where a lane lives: its identity, and the names (patterns) of what belongs to that identity only."""

    state_dir: Path
    identity_dir: Path
    belongings: tuple[str, ...] = ("ledger.db*", "snapshots")


async def enroll_anew(
    url: str,
    code: str,
    place: LanePlace,
    *,
    stamp: str,
    make_http: MakeHttp | None = None,
    randomness: Callable[[int], bytes] = os.urandom,
) -> tuple[Enrolled, Path | None]:
    """Enroll, and only when that is done put what was before into ``replaced-<stamp>``; returns that folder.

    The agent must be stopped. Raises what `enrollment.enroll` raises; the old lane is untouched then.
    """
    if (before := _done_before(place, Code.parse(code))) is not None:
        return before, _dated(place, stamp)
    fresh = place.state_dir / FRESH
    enrolled = await enrollment.enroll(url, code, fresh, make_http=make_http, randomness=randomness)
    try:
        _set_aside(place)
        fresh.rename(place.identity_dir)
        sync_directory(place.state_dir)
        return enrolled, _dated(place, stamp)
    except OSError as error:
        raise NotEnrolled(f"{error.filename} cannot be moved: {error.strerror}. Repeat the command.") from error


def _done_before(place: LanePlace, code: Code) -> Enrolled | None:
    """The identity, if this very code made it: a crash may have left only the last step to do."""
    if not (place.identity_dir / IDENTITY_FILE).exists():
        return None
    try:
        enrolled = load_identity(place.identity_dir)
    except NotEnrolled:  # damaged: a reason to replace it
        return None
    return enrolled if enrolled.code_sha256 == code.sha256 else None


def _set_aside(place: LanePlace) -> None:
    pending = place.state_dir / PENDING
    pending.mkdir(mode=0o700, exist_ok=True)
    old = [place.identity_dir]
    old += [path for pattern in place.belongings for path in sorted(place.state_dir.glob(pattern))]
    for path in old:
        if path.exists():
            path.rename(pending / path.name)
            sync_directory(place.state_dir)


def _dated(place: LanePlace, stamp: str) -> Path | None:
    """The folder under its final name; None if nothing was replaced."""
    pending, dated = place.state_dir / PENDING, place.state_dir / f"replaced-{stamp}"
    if not pending.exists():
        return None
    if not any(pending.iterdir()):
        pending.rmdir()
        return None
    pending.rename(dated)
    return dated
