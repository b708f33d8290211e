"""What a stand-in approval's slip carries: the lane's signed claim, that outlives the lane's disk (lease rule 17)."""

import io

import pytest
import zxingcpp
from PIL import Image

from agent.core.classify import classify
from agent.core.journal import Kind
from agent.core.slip_claim import ClaimError, SlipClaim, verify_claim
from drivers.document import Document, Qr
from drivers.rendering.picture import to_png
from tests.services.lanes import CUSTOMER, LENDER, Till, key, order
from tests.services.test_checkout import from_lease
from tests.services.test_printing import print_for, sell
from tests.uplink.world import run

COLUMNS_58_MM = 32
JOURNAL = key("journal").public


def code_of(document: Document) -> str:
    (code,) = (block.data for block in document.blocks if isinstance(block, Qr))
    return code


def on_paper(till: Till) -> list[Document]:
    print_for(till, 5)
    return till.printer.documents


def test_a_stand_in_approvals_paper_claims_what_its_journal_entry_says(till: Till) -> None:
    sell(till)
    (document,) = on_paper(till)
    (sealed,) = till.entries(Kind.AUTHORIZATION)
    claim = verify_claim(code_of(document), JOURNAL)
    assert claim == SlipClaim(
        "lane-01", 1, LENDER, "sale-0001", 1, CUSTOMER, 100, "CNY", sealed.entry.recorded_at, 1, 100
    )


def test_nothing_is_signed_before_the_sale_is_recorded(till: Till) -> None:
    sell(till)
    (job,) = till.ledger.print_jobs("sale-0001")
    assert code_of(job.slip.document) == "CFS1:lane-01:sale-0001"


def test_a_slip_that_is_printed_after_a_restart_claims_the_same(till: Till) -> None:
    sell(till)
    till.restart()
    (document,) = on_paper(till)
    assert verify_claim(code_of(document), JOURNAL).sale_id == "sale-0001"


def test_an_online_approvals_paper_carries_the_short_reference(till: Till) -> None:
    till.backend.available, till.backend.answer = True, from_lease
    sell(till)
    (document,) = on_paper(till)
    assert code_of(document) == "CFS1:lane-01:sale-0001"


def test_another_lanes_key_does_not_verify_it(till: Till) -> None:
    sell(till)
    (document,) = on_paper(till)
    with pytest.raises(ClaimError):
        verify_claim(code_of(document), key("other").public)


@pytest.mark.parametrize("sale_id", ["sale-0001", "s" * 36])
def test_the_claim_is_read_back_from_paper_of_58_mm(till: Till, sale_id: str) -> None:
    run(till.checkout.sell(order(sale_id, 9_999), till.phone().code()))
    (document,) = on_paper(till)
    picture = Image.open(io.BytesIO(to_png(document, COLUMNS_58_MM)))
    (code,) = zxingcpp.read_barcodes(picture)
    assert code.bytes.decode() == code_of(document)
    assert classify(code.bytes).kind == "slip"


@pytest.mark.parametrize("answers", [False, True], ids=["decided alone", "decided online"])
def test_a_printed_slip_that_is_scanned_at_the_counter_names_its_sale(till: Till, answers: bool) -> None:
    """From the paper's own picture: whoever listens opens this sale for a void or a refund."""
    if answers:
        till.backend.available, till.backend.answer = True, from_lease
    sell(till)
    (document,) = on_paper(till)
    (read,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(to_png(document, COLUMNS_58_MM))))
    listener = till.lane.events.subscribe()
    till.counter.scanned(read.bytes, "counter")
    told = listener.get_nowait()["data"]
    assert (told["kind"], told["lane"], told["sale_id"]) == ("slip", "lane-01", "sale-0001")


@pytest.mark.parametrize("text", ["CFS1:lane-01", "CFS1::sale-0001", "CFC1:AAAA", "CFC1:", "CFC1:\u4e00"])
def test_a_damaged_slip_names_no_sale_and_stops_nothing(till: Till, text: str) -> None:
    listener = till.lane.events.subscribe()
    till.counter.scanned(text.encode(), "counter")
    assert "sale_id" not in listener.get_nowait()["data"]
