"""What the lender knows of where its customers were: online, and in the layers that lanes get."""

import pytest

from agent.core.snapshot_layer import Record
from agent.core.snapshot_reader import Layer, open_layer, trusting
from agent.core.travel import Place
from backend import places, snapshots
from backend.database import transaction
from backend.schema import Account, Lane
from tests.backend.lanes import LENDER, PaperLane, Shop
from tests.backend.test_rules import sold, told

HERE = Place(31_230_400, 121_473_700)
NEAR = Place(31_230_400, 121_515_700)  # 4 km to the east
FAR = Place(31_500_200, 121_473_700)  # 30 km to the north
AT: dict[str, Place | None] = {"A": HERE, "B": NEAR, "C": FAR, "D": None}


@pytest.fixture
def town(shop: Shop) -> Shop:
    """A lane in each of four stores; nobody has told where the last one is."""
    for lane in "CD":
        shop.lanes[lane] = PaperLane(shop, lane)
    with transaction(shop.backend.database):
        for lane, place in AT.items():
            Lane.update(store=f"store-{lane}").where(Lane.lane == lane).execute()
            if place:
                places.set_place("merchant-1", f"store-{lane}", place)
    return shop


def record(shop: Shop, lane: str) -> Record:
    found = layer(shop, lane).lookup(shop.token)
    assert found is not None
    return found


def layer(shop: Shop, lane: str) -> Layer:
    newest = snapshots.stack(lane, LENDER)[-1].sequence
    data = snapshots.layer_bytes(lane, LENDER, newest)
    return open_layer(data, trusting(shop.backend.lenders[LENDER].key_list, shop.clock.now_s))


WAYS: dict[str, tuple[str, int, str]] = {
    "to a store near by, at once": ("B", 60, "00"),
    "30 km in ten minutes": ("C", 600, "59"),
    "30 km in an hour": ("C", 3_600, "00"),
    "to a store that is nowhere": ("D", 60, "00"),
    "to the same store": ("A", 60, "00"),
}


@pytest.mark.parametrize("way", WAYS)
def test_who_cannot_have_come_so_fast_is_declined_online(town: Shop, way: str) -> None:
    lane, elapsed_s, code = WAYS[way]
    assert sold(town, "A", 101)["approved"]
    town.clock.now_s += elapsed_s
    answer = sold(town, lane, 101)
    assert answer["response_code"] == code
    if code == "59":
        assert told(answer) == ("59", "travel", ["travel-near"])


def test_a_sale_that_a_lane_made_alone_is_where_the_account_was(town: Shop) -> None:
    at = town.lanes["A"]
    at.stand_in(101)
    at.upload()
    assert told(sold(town, "C", 101))[1] == "travel"


def test_a_declined_try_is_no_place_where_the_account_was(town: Shop) -> None:
    assert sold(town, "A", 101)["approved"]
    assert told(sold(town, "C", 101))[1] == "travel"
    town.clock.now_s += 60
    assert sold(town, "B", 101)["approved"]


@pytest.mark.parametrize(("lane", "place"), [("A", (0, 0)), ("B", (-4, 0)), ("C", (0, -30)), ("D", None)])
def test_a_layer_says_where_and_when_an_account_was_seen(town: Shop, lane: str, place: tuple[int, int] | None) -> None:
    assert sold(town, "A", 101)["approved"]
    seen_s = town.clock.now_s
    town.clock.now_s += 600
    town.cut(lane)
    found = record(town, lane)
    assert (found.place, found.last_seen_s) == (place, seen_s if place else None)
    assert layer(town, lane).manifest.origin == tuple(AT[lane] or places.NOWHERE)


def test_a_purchase_elsewhere_is_in_the_next_delta(town: Shop) -> None:
    town.cut("C")
    assert record(town, "C").place is None
    sold(town, "A", 101)
    cut = town.refresh("C")
    assert cut is not None and cut.base_sequence < cut.sequence
    assert record(town, "C").place == (0, -30)


def test_what_is_older_than_a_day_is_told_to_nobody(town: Shop) -> None:
    sold(town, "A", 101)
    town.clock.now_s += 24 * 3600 + 1
    town.cut("C")
    assert record(town, "C").place is None


def test_a_store_that_moves_gets_a_new_base(town: Shop) -> None:
    town.cut("C")
    assert town.refresh("C") is None
    with transaction(town.backend.database):
        places.set_place("merchant-1", "store-C", HERE)
    cut = town.refresh("C")
    assert cut is not None and cut.base_sequence == cut.sequence
    assert layer(town, "C").manifest.origin == tuple(HERE)


def test_the_hours_online_are_those_of_the_stores_zone(town: Shop) -> None:
    """08:00 UTC is 16:00 in Shanghai and 03:00 in New York; jewellery is not bought at night."""
    assert sold(town, "A", 101, category="5944")["approved"]
    with transaction(town.backend.database):
        places.set_place("merchant-1", "store-A", HERE, "America/New_York")
    assert told(sold(town, "A", 101, category="5944"))[1] == "outside_hours"


def test_purpose_bound_credit_is_declined_for_what_the_policy_excludes_online_and_known_to_lanes(town: Shop) -> None:
    with transaction(town.backend.database):
        Account.update(purpose_bound=True).where(Account.token == town.token).execute()
    assert sold(town, "A", 101)["approved"]
    assert told(sold(town, "A", 101, category="5813")) == ("57", "purpose_excluded", ["purpose-category"])
    town.cut("A")
    assert record(town, "A").purpose_bound
