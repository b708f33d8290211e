"""Training and real money do not mix: not in a ledger, not among lenders, not at the scanner."""

from collections.abc import Callable

import pytest

from agent.core import trust
from agent.core.authorization import Hold
from agent.core.credit_pass import parse
from agent.errors import TrainingMixed, UntrustedDocument
from agent.lane_desk import LaneDesk
from agent.overview import lane_status
from agent.services.introductions import Introducer
from tests.services.lanes import LENDER, PaperLender, Till, order
from tests.services.test_introductions import CA, introduction
from tests.uplink.world import run

AIDS = {True: trust.AID_TRAINING, False: trust.AID_DEFAULT}
WALLET_CODE = "281234567890123456"


@pytest.fixture(params=[True, False], ids=["training", "real"])
def is_training(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def till(opened: Callable[..., Till], is_training: bool) -> Till:
    return opened(
        lender=PaperLender(aid=AIDS[is_training]),
        settings={"is_training": is_training},
        introducer=Introducer(CA.public, "m1"),
    )


def sold(till: Till, code: str) -> Hold:
    return run(till.checkout.sell(order("sale-0001", 10), code))


def test_each_counter_sells_to_its_own_kind_of_customer_and_says_of_which_kind_it_is(
    till: Till, is_training: bool
) -> None:
    assert sold(till, till.phone(aid=AIDS[is_training]).code()).is_approved
    assert lane_status(till.lane, LaneDesk(till.lane))["training"] is is_training


def test_a_pass_of_the_other_kind_is_declined_in_words_that_say_so(till: Till, is_training: bool) -> None:
    hold = sold(till, till.phone(aid=AIDS[not is_training]).code())
    assert (hold.is_approved, hold.response_code) == (False, "12")
    assert hold.reason == ("pass.training_counter" if is_training else "pass.training_pass")


def test_a_pass_of_a_lender_that_is_not_known_is_told_the_same_at_a_training_counter(till: Till) -> None:
    code = till.phone(aid=trust.AID_DEFAULT, lender="otherlend").code()
    expected = "pass.training_counter" if till.lane.settings.is_training else "pass.unknown_lender"
    assert sold(till, code).reason == expected


def test_a_real_wallet_pays_nothing_at_a_training_counter(till: Till, is_training: bool) -> None:
    expected = "pass.training_counter" if is_training else "wallet_not_served"
    assert (sold(till, WALLET_CODE).reason, sold(till, WALLET_CODE).is_approved) == (expected, False)


def test_a_ledger_opens_as_what_it_began_as_and_in_no_other_way(till: Till, is_training: bool) -> None:
    before = till.ledger.head
    till.restart()
    assert till.lane.settings.is_training is is_training
    till.settings["is_training"] = not is_training
    till.lender = PaperLender(aid=AIDS[not is_training])
    with pytest.raises(TrainingMixed, match="training" if is_training else "real sales"):
        till.restart()
    assert till.ledger.head == before


def test_no_lender_of_the_other_kind_joins(till: Till, is_training: bool) -> None:
    new = PaperLender("newlend", aid=AIDS[not is_training])
    with pytest.raises(UntrustedDocument, match="training"):
        till.lane.lenders.introduce(introduction(new), new.key_list())
    assert [lender.lender for lender in till.lane.lenders.all()] == [LENDER]


def test_no_lender_changes_its_kind(till: Till, is_training: bool) -> None:
    with pytest.raises(UntrustedDocument, match="training"):
        till.lane.lenders.install_keys(LENDER, PaperLender(aid=AIDS[not is_training]).key_list(version=2))
    assert till.lane.lenders.first.keys.is_training is is_training


def test_a_pass_tells_its_kind_before_anything_of_it_is_believed(till: Till, is_training: bool) -> None:
    assert (parse(till.phone(aid=AIDS[is_training]).code()).aid == trust.AID_TRAINING) is is_training
