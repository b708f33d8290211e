"""The import: what lies in the books afterwards, once, however often it is run."""

import pytest

from agent.core.travel import Place, offset_km
from backend import places
from backend.admin.operation import Answer, Progress, Refused, perform
from backend.admin.table import OPERATIONS
from backend.database import transaction
from backend.population import importing
from backend.population import town as towns
from backend.schema import Account, Visit
from tests.backend.lanes import LENDER, Shop

ASKED = {"accounts": 450, "lanes": 12, "stores": 4, "days": 28, "seed": 3, "until": "2026-03-01"}


def imported(shop: Shop, **other: object) -> tuple[Answer, list[Progress]]:
    *steps, last = perform(OPERATIONS, shop.backend, "population.import", ASKED | other)
    return dict(last["answer"]), [Progress(**step["progress"]) for step in steps]


def test_accounts_and_visits_are_in_the_books_and_the_books_hold(shop: Shop) -> None:
    before = Account.select().count()
    answer, steps = imported(shop)
    assert [step.done for step in steps] == [200, 400, 450]
    assert answer == {"accounts": 450, "visits": Visit.select().count(), "stores": 4, "lanes": 12}
    assert Account.select().count() == before + 450
    assert {visit.account for visit in Visit.select(Visit.account)} <= {row.token for row in Account.select()}
    assert {row.lender for row in Visit.select()} == {LENDER}
    assert all(row.used_minor == row.held_minor == 0 for row in Account.select())


def test_stores_get_their_places_in_the_town_and_keep_those_that_they_have(shop: Shop) -> None:
    known = Place(31_230_400, 121_473_700)
    with transaction(shop.backend.database):
        places.set_place("merchant-1", "store-002", known)
    imported(shop)
    found = {row.store: Place(row.latitude_udeg, row.longitude_udeg) for row in places.every()}
    assert (sorted(found), found["store-002"]) == ([f"store-{number:03}" for number in range(1, 5)], known)
    town = towns.build(3, stores=4, lanes=12)
    away = {store.name: offset_km(towns.CORNER, found[store.name]) for store in town if store.name != "store-002"}
    assert away == {store.name: (round(store.x_km), round(store.y_km)) for store in town if store.name in away}


def test_an_import_that_was_cut_off_is_finished_by_running_it_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = iter(perform(OPERATIONS, shop.backend, "population.import", ASKED))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    held = list(Account.select().dicts())
    answer, _ = imported(shop)
    assert answer["accounts"] == 250
    assert [row for row in Account.select().dicts() if row in held] == held
    whole = list(Visit.select().order_by(Visit.account, Visit.at_s).dicts())
    assert imported(shop)[0] | {"stores": 0, "lanes": 0} == {"accounts": 0, "visits": 0, "stores": 0, "lanes": 0}
    assert list(Visit.select().order_by(Visit.account, Visit.at_s).dicts()) == whole


def test_a_larger_import_keeps_the_people_of_the_smaller(shop: Shop) -> None:
    imported(shop, accounts=50)
    few = {bytes(row.token) for row in Account.select()}
    imported(shop, accounts=80)
    assert few < {bytes(row.token) for row in Account.select()}


def test_without_a_date_the_history_ends_with_yesterday(shop: Shop) -> None:
    steps = perform(OPERATIONS, shop.backend, "population.import", {**ASKED, "until": None})
    assert list(steps)
    today = (shop.clock.now_s + importing.TIME_ZONE_S) // importing.DAY_S
    assert max((row.at_s + importing.TIME_ZONE_S) // importing.DAY_S for row in Visit.select()) == today - 1


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"accounts": 0}, "1 to 10,000,000 accounts"),
        ({"days": 5_000}, "1 to 1098 days"),
        ({"stores": 13}, "every store at least one lane"),
        ({"until": "tomorrow"}, "YYYY-MM-DD"),
        ({"lender": "nobody"}, "nobody"),
    ],
)
def test_an_import_that_makes_no_sense_is_refused(shop: Shop, other: dict[str, object], said: str) -> None:
    with pytest.raises(Refused, match=said):
        imported(shop, **other)
