"""A lender that joins after enrollment: believed when the CA of the enrollment code vouches for it, and never else."""

from collections.abc import Callable

import pytest

from agent.core.cose import SigningKey
from agent.core.introduction import Introduction, sign_introduction
from agent.core.journal import Kind
from agent.errors import UntrustedDocument
from agent.services.introductions import Introducer
from tests.services.lanes import CUSTOMER, LENDER, PaperLender, Till, key, order
from tests.uplink.world import run

CA = SigningKey.from_seed("p256", b"C" * 32)
NEW = PaperLender("newlend")


def introduction(lender: PaperLender = NEW, *, merchant: str = "m1", ca: SigningKey = CA) -> bytes:
    root = key(f"{lender.name}-root").public
    return sign_introduction(Introduction(lender.name, "New Lend", merchant, root), ca)


@pytest.fixture
def till(opened: Callable[..., Till]) -> Till:
    return opened(introducer=Introducer(CA.public, "m1"))


def test_a_lender_that_the_ca_introduces_is_served_at_once_and_after_a_restart(till: Till) -> None:
    assert till.lane.lenders.introduce(introduction(), NEW.key_list())
    for again in (False, True):
        if again:
            till.restart()
        till.tell_time(lender=NEW)
        till.lane.lenders.install_policy(NEW.name, NEW.policy())
        till.install({CUSTOMER: 100}, of=NEW)
        sold = run(till.checkout.sell(order(f"sale-000{again:d}", 10), till.phone(lender=NEW.name).code()))
        assert (sold.lender, sold.reason) == (NEW.name, "approved_offline")
    assert [lender.lender for lender in till.lane.lenders.all()] == [LENDER, NEW.name]
    assert till.lane.lenders.first.lender == LENDER


def test_it_is_journaled_once_however_often_it_is_introduced(till: Till) -> None:
    assert till.lane.lenders.introduce(introduction(), NEW.key_list())
    assert till.lane.lenders.introduce(introduction(), NEW.key_list())
    assert [sealed.entry.lender for sealed in till.entries(Kind.KEYS_INSTALLED)] == [NEW.name]


REFUSED = {
    "another CA signed it": lambda: (introduction(ca=SigningKey.from_seed("p256", b"X" * 32)), NEW.key_list()),
    "it is for another merchant": lambda: (introduction(merchant="m2"), NEW.key_list()),
    "the keys are another lender's": lambda: (introduction(), PaperLender("otherlend").key_list()),
    "it is no document": lambda: (b"hello", NEW.key_list()),
    "the keys are none": lambda: (introduction(), b""),
}


@pytest.mark.parametrize("why", REFUSED)
def test_nobody_is_served_when(till: Till, why: str) -> None:
    with pytest.raises(UntrustedDocument):
        till.lane.lenders.introduce(*REFUSED[why]())
    assert [lender.lender for lender in till.lane.lenders.all()] == [LENDER]
    assert till.entries(Kind.KEYS_INSTALLED) == []


def test_an_introduction_never_replaces_the_root_of_a_lender_that_is_known(till: Till) -> None:
    thief = Introduction(LENDER, "Thief", "m1", key("thief").public)
    assert till.lane.lenders.introduce(sign_introduction(thief, CA), b"")
    known = till.lane.lenders.get(LENDER)
    assert known is not None and known.root == key(f"{LENDER}-root").public
