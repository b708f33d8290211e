"""What the lane prints on request: a slip again, a decline, the day; each says what is recorded, and if it is new."""

from collections.abc import Callable
from typing import Any

import pytest

from agent.core.journal import Kind, Position
from agent.core.settlement import NAMES
from agent.core.slip_claim import verify_claim
from agent.ports import QueueException
from agent.services.hold_desk import Refused
from agent.texts import LANGUAGES, Language, catalogue, day_label
from drivers.document import Document, to_text
from tests.services.lanes import LENDER, PaperLender, Till, key, order
from tests.services.test_printing import print_for
from tests.services.test_slips import code_of
from tests.uplink.world import run


def sell(till: Till, minor: int = 3_000, sale_id: str = "sale-0001", **fields: Any) -> None:
    run(till.checkout.sell(order(sale_id, minor, **fields), till.phone().code()))


def on_paper(till: Till) -> list[tuple[Document, bool]]:
    """Everything that came out, and whether it was marked as a copy."""
    print_for(till, 5)
    return [(document, copy) for document, (_, copy) in zip(till.printer.documents, till.printer.paper, strict=True)]


def text_of(document: Document, columns: int = 48) -> str:
    return to_text(document, columns)


def test_a_slip_that_is_printed_again_says_copy_and_proves_the_same(till: Till) -> None:
    sell(till)
    on_paper(till)
    assert isinstance(till.lane.slips.print_again("sale-0001"), int)
    (first, was_copy), (again, is_copy) = on_paper(till)
    assert (was_copy, is_copy) == (False, True)
    assert text_of(again) == text_of(first)
    assert verify_claim(code_of(again), key("journal").public).sale_id == "sale-0001"


def test_the_newest_slip_is_the_one_that_is_printed_again(till: Till) -> None:
    sell(till)
    run(till.lane.holds.void("sale-0001", "x"))
    on_paper(till)
    till.lane.slips.print_again("sale-0001")
    assert "消费撤销" in text_of(on_paper(till)[-1][0])


def test_a_declined_sale_prints_only_when_asked_and_says_so_in_the_customers_words(till: Till) -> None:
    sell(till, 20_000)
    assert on_paper(till) == []
    till.lane.slips.print_again("sale-0001")
    ((slip, is_copy),) = on_paper(till)
    said = text_of(slip)
    assert not is_copy, "nothing of it was on paper before"
    assert "未批准" in said and "61" in said and "￥200.00" in said
    assert "稍后入账" not in said, "nothing will be charged"


@pytest.mark.parametrize(
    ("sale_id", "reason"), [("sale-none", "sale_unknown"), ("sale-0001", "slip_waits"), ("sale-0002", "slip_none")]
)
def test_what_cannot_be_printed_again_is_refused_in_words(till: Till, sale_id: str, reason: str) -> None:
    sell(till)
    till.backend.available, till.backend.answer = True, TimeoutError()
    with pytest.raises(TimeoutError):
        sell(till, sale_id="sale-0002")  # asked for, and never answered
    assert till.lane.slips.print_again(sale_id) == Refused(reason)


@pytest.mark.parametrize(("signature_minor", "signs"), [(0, False), (3_001, False), (3_000, True)])
def test_the_customer_signs_from_the_policys_amount_on(
    opened: Callable[..., Till], signature_minor: int, signs: bool
) -> None:
    till = opened(lender=PaperLender())
    till.lane.lenders.install_policy(LENDER, till.lender.policy(2, signature_minor=signature_minor))
    sell(till)
    ((slip, _),) = on_paper(till)
    assert ("持卡人签名" in text_of(slip)) == signs
    assert text_of(slip).count("单号: sale-0001") == (2 if signs else 1), (
        "the part that the merchant keeps names it too"
    )


def close(till: Till) -> Any:
    return run(till.lane.settlement.close_day(LENDER))


def test_the_days_paper_has_the_totals_of_the_batch_and_what_is_carried_over(till: Till) -> None:
    sell(till)
    sell(till, 2_000, "sale-0002", capture="later")
    run(till.lane.holds.refund("sale-0001", 1_000, request="r1", reason="x"))
    disputed = till.entries(Kind.AUTHORIZATION)[0].entry.number
    found = QueueException(Position(1, disputed), "disputed", "lease_excess", "merchant")
    till.ledger.move_cursor(1, till.ledger.cursor(1), [found])
    on_paper(till)
    report = close(till)
    till.lane.slips.print_day(report)
    paper, is_copy = on_paper(till)[-1]
    said = text_of(paper)
    assert not is_copy
    for line in (
        "批准 × 2",
        "扣款 × 1",
        "退款 × 1",
        "￥20.00",
        "已授权未扣款 × 1",
        "有争议 1-",
        "lease_excess, sale-0001",
    ):
        assert line in said
    assert "尚未核对" in said and "无结转事项" not in said


def test_a_day_that_is_reported_again_is_a_copy(till: Till) -> None:
    sell(till)
    for _ in range(2):
        till.lane.slips.print_day(close(till))
    assert [copy for _, copy in on_paper(till)][1:] == [False, True]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_total_of_a_batch_has_its_label_and_every_label_is_used(till: Till, language: Language) -> None:
    labels = catalogue(language)["day"].keys()
    assert set(NAMES) <= labels
    others = {"title", "batch", "lender", "lane", "time", "entries", "chain_head", "plan", "net", "carried"}
    others |= {"unsent", "held", "nothing_carried", "disputed", "parked", "quarantined"}
    differing = {"here", "there", "entry", "accepted", "chain_head", "settled_before", "unnamed", "what_to_do"}
    assert labels == set(NAMES) | others | differing | {"matched", "pending", "different"}
    assert "3" in day_label(language, "batch", batch=3)
