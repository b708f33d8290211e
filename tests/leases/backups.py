"""Books that come from a backup: a copy of their file is kept, and brought back."""

from collections.abc import Callable
from pathlib import Path

from backend import lanes
from backend.compose import compose
from backend.database import open_database
from backend.schema import SnapshotLayer
from tests.backend.lanes import AUTHORITY, PaperLane, Shop
from tests.leases.devices import heartbeat

Forget = Callable[[], None]


def backup_of(shop: Shop, copy: Path) -> Forget:
    """Keep a copy of the books as they are; calling what it gives brings them back, by another process."""
    shop.backend.database.execute_sql("VACUUM INTO ?", (str(copy),))

    def bring_back() -> None:
        shop.backend.database.close()
        randomness, plan = shop.chance.randbytes, shop.backend.plan
        shop.backend = compose(
            open_database(str(copy)), clock=shop.clock, randomness=randomness, authority=AUTHORITY, plan=plan
        )

    return bring_back


def installed(shop: Shop, name: str) -> PaperLane:
    shop.cut(name)
    shop.lanes[name].install()
    shop.lanes[name].upload()
    return shop.lanes[name]


def send_layers(shop: Shop, lane: PaperLane, files: dict[int, bytes]) -> None:
    """The lane sends what the backend wants, until it wants no more."""
    while wanted := heartbeat(shop, lane):
        for layer in wanted:
            shop.backend.take_layer(lane.name, layer["lender"], layer["sequence"], files[layer["sequence"]])


def files_of(lane: str) -> dict[int, bytes]:
    """The layer files in a lane's directory."""
    return {row.sequence: bytes(row.data) for row in SnapshotLayer.select().where(SnapshotLayer.lane == lane)}


def rewind(lane: PaperLane) -> list[str]:
    """Send again from the number that the backend has."""
    lane.sent = lanes.journal(lane.name, lane.head.epoch).number
    return lane.upload()
