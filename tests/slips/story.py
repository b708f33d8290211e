"""One of every paper that a lane prints, from the lane itself: real sales upon a real ledger, told in one language.

Times, ids, keys and codes are fixed, so each paper is the same to the last dot whenever the story is told.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from agent.core.authorization import Hold
from agent.core.journal import Kind, Position
from agent.core.money import Money
from agent.core.receipt import Seller
from agent.core.settlement import NAMES
from agent.ports import QueueException
from agent.services.offers import Wish
from agent.services.settlement import BatchReport
from agent.services.shift_report import ShiftAccount
from agent.texts import Language
from drivers.document import Document, as_copy
from tests.services.lanes import CUSTOMER, LENDER, STRANGER, Till, order
from tests.services.test_checkout import from_lease
from tests.services.test_offers import PRICE, coupon
from tests.services.test_printing import print_for
from tests.services.test_slip_refunds import yes
from tests.uplink.world import run

SELLERS: Final[Mapping[Language, Seller]] = {
    "zh-CN": Seller("示例超市", "人民路店", "lane-01"),
    "en": Seller("Example Market", "People's Road", "lane-01"),
}


LIMITS: Final = {
    "account_cumulative_upper_minor": 900_000,
    "account_cumulative_lower_minor": 900_000,
    "account_consecutive_upper": 100,
    "account_consecutive_lower": 100,
    "account_round_count_max": 100,
    "near_limit_count_max": 100,
}
"""One customer who buys all day long."""


@dataclass
class Story:
    """A lane that sells, and the papers that came out of it by what they are."""

    till: Till
    papers: dict[str, Document] = field(default_factory=dict)

    def sell(self, name: str, minor: int = 12_800, *, phone: Mapping[str, Any] | None = None, **fields: Any) -> Hold:
        """The sale is called as its paper."""
        code = self.till.phone(**(phone or {})).code()
        hold: Hold = run(self.till.checkout.sell(order(sale_id(name), minor, **fields), code))
        self.printed(name)
        return hold

    def printed(self, *names: str) -> None:
        """What came out just now is the paper of these names; a decline has none."""
        before = len(self.till.printer.paper)
        print_for(self.till, 5)
        new = zip(self.till.printer.documents[before:], self.till.printer.paper[before:], strict=True)
        found = [as_copy(document) if is_copy else document for document, (_, is_copy) in new]
        self.papers |= dict(zip(names, found, strict=False))

    def online(self, answer: Any = from_lease) -> None:
        self.till.backend.available, self.till.backend.answer = True, answer


def sale_id(name: str) -> str:
    """As long as those that a lane makes by itself."""
    return f"0193a7f2-1c44-7e0b-9c1e-{sha256(name.encode()).hexdigest()[:12]}"


@lru_cache
def papers(language: Language) -> Mapping[str, Document]:
    """Every paper by its name."""
    with TemporaryDirectory() as folder:
        settings = {"language": language, "seller": SELLERS[language]}
        with closing(Till(Path(folder), grants={CUSTOMER: 900_000}, settings=settings)) as till:
            story = Story(till)
            till.lane.lenders.install_policy(LENDER, till.lender.policy(2, **LIMITS))
            shift_opens(story)
            sales(story)
            what_becomes_of_them(story)
            shift_closes(story)
            days(story)
            return story.papers


def sales(story: Story) -> None:
    till = story.till
    story.sell("sale-offline")
    story.sell("sale-plan", PRICE, wish=Wish("3x"))
    story.sell("sale-coupon", PRICE, wish=Wish("3x", coupon(till)))
    story.sell("sale-cap", 5_000, phone={"account": STRANGER, "cap_minor": 9_000})
    story.sell("sale-held", 3_000, capture="later")
    story.sell("held-again", 1_000, capture="later")
    story.sell("sale-declined", 99_999_00)
    till.lane.slips.print_again(sale_id("sale-declined"))
    story.printed("sale-declined")
    till.lane.slips.print_again(sale_id("sale-offline"))
    story.printed("sale-copy")
    till.lane.lenders.install_policy(LENDER, till.lender.policy(3, signature_minor=2_000, **LIMITS))
    story.sell("sale-signed", 2_000)
    till.lane.lenders.install_policy(LENDER, till.lender.policy(4, **LIMITS))
    story.online()
    story.sell("sale-online")
    till.backend.available = False


def what_becomes_of_them(story: Story) -> None:
    holds = story.till.lane.holds
    run(holds.capture(sale_id("sale-held"), 2_500))
    story.printed("captured-less")
    run(holds.reverse(sale_id("held-again"), "x"))
    story.printed("reversed")
    run(holds.void(sale_id("sale-online"), "x"))
    story.printed("voided")
    run(holds.refund(sale_id("sale-offline"), 2_800, request="r1", reason="x"))
    story.printed("refunded-part")
    run(holds.refund(sale_id("sale-plan"), PRICE // 2, request="r2", reason="x"))
    story.printed("refunded-plan")
    run(holds.refund(sale_id("sale-coupon"), None, request="r3", reason="x"))
    story.printed("refunded-whole")
    story.till.backend.available, story.till.backend.refund_answer = True, yes(500)
    refunds = story.till.lane.slip_refunds
    run(refunds.refund(LENDER, "lane-02", sale_id("elsewhere"), Money(500, "CNY"), "r4"))
    story.printed("refunded-elsewhere")
    story.till.backend.available = False


def shift_opens(story: Story) -> None:
    story.till.lane.shifts.open("7", 20_000, "CNY")
    print_shift(story, "shift-opened")


def shift_closes(story: Story) -> None:
    story.till.clock.pass_time(6 * 3_600)
    story.till.lane.shifts.close(25_000, 5_100)
    print_shift(story, "shift-closed")


def print_shift(story: Story, name: str) -> None:
    shifts = story.till.lane.shifts
    shift = shifts.newest()
    assert shift is not None
    story.till.lane.slips.print_shift(ShiftAccount(shift, run(shifts.credit(shift))), is_copy=False)
    story.printed(name)


def days(story: Story) -> None:
    """A day that carries much on, one that differs, and a clean one."""
    till = story.till
    story.sell("held-long", 2_000, capture="later")
    disputed = till.entries(Kind.AUTHORIZATION)[0].entry.number
    found = QueueException(Position(1, disputed), "disputed", "lease_excess", "merchant")
    till.ledger.move_cursor(1, till.ledger.cursor(1), [found])
    close_day(story, "day-pending")
    story.sell("next-day", 3_000)
    till.backend.available = True
    till.backend.settle = differing(till.entries(Kind.AUTHORIZATION)[-1].entry.number)  # type: ignore[method-assign]
    close_day(story, "day-different")
    del till.backend.settle
    acknowledged(till)
    close_day(story, "day-matched", batch=3)


def acknowledged(till: Till) -> None:
    till.lane.forwarding.next_upload(10_000, 10**7)
    till.lane.forwarding.acknowledged(1, till.ledger.head.number, [])


def close_day(story: Story, name: str, batch: int | None = None) -> None:
    report = run(story.till.lane.settlement.close_day(LENDER, batch))
    assert isinstance(report, BatchReport)
    story.till.lane.slips.print_day(report)
    story.printed(name)


def differing(number: int) -> Any:
    """A backend whose half has a sale less, names an entry that it disputes, and ends in another one."""

    async def settle(body: Mapping[str, Any]) -> dict[str, Any]:
        totals = {name: dict(body["totals"].get(name, {"count": 0, "minor": 0})) for name in {*NAMES, *body["totals"]}}
        totals["approved"] = {"count": 0, "minor": 0}
        entry = {"what": "entry", "number": number, "lane": "accepted", "backend": "disputed", "reason": "lease_excess"}
        return {"matched": False, "differences": [entry], "totals": totals, "chain_head": "AAAA-other-hash-0001"}

    return settle
