"""`counterfoil sale`: a sale by hand, in sentences and exit codes that cannot be misread."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from tests.local.served import ServedLane

Capture = pytest.CaptureFixture[str]


def sale(served: ServedLane, config: Path, *words: str) -> Any:
    return served.tell(lambda _: main(["sale", *words, "--config", str(config)]))


def test_a_sale_that_went_through_says_so_and_ends_with_0(served: ServedLane, config: Path, capsys: Capture) -> None:
    code = served.till.phone().code()
    assert sale(served, config, "make", "3000", "--sale-id", "sale-0001", "--code", code, "--later") == 0
    assert capsys.readouterr().out.startswith("sale-0001: approved 00 stand_in\n")
    assert sale(served, config, "capture", "sale-0001") == 0
    capsys.readouterr()
    assert sale(served, config, "show", "sale-0001", "--json") == 0
    assert json.loads(capsys.readouterr().out)["hold"] == "captured"


def test_a_decline_says_what_to_do_and_ends_with_1(served: ServedLane, config: Path, capsys: Capture) -> None:
    stale = served.till.phone().code(age_s=600)
    assert sale(served, config, "make", "3000", "--sale-id", "sale-0001", "--code", stale) == 1
    told = capsys.readouterr().out
    assert told.startswith("sale-0001: declined 54")
    assert len(told.splitlines()) == 4


def test_a_reversal_that_did_not_happen_is_a_fault_and_no_success(
    served: ServedLane, config: Path, capsys: Capture
) -> None:
    sale(served, config, "make", "3000", "--sale-id", "sale-0001", "--code", served.till.phone().code())
    capsys.readouterr()
    assert sale(served, config, "reverse", "sale-0001") == 1
    said = capsys.readouterr()
    assert "已经完成扣款" in said.err and "approved" not in said.out


def test_a_sale_without_a_code_waits_for_the_scan(served: ServedLane, config: Path, capsys: Capture) -> None:
    assert sale(served, config, "make", "3000", "--sale-id", "sale-0001", "--wait", "0.05") == 1
    assert "Waiting for a scan" in capsys.readouterr().out


@pytest.mark.parametrize("sale_id", ["no-such-sale", "a b", "../status", "bjørn\n", "?wait_s=1"])
def test_a_sale_that_nobody_knows_is_named_whatever_its_id(
    served: ServedLane, config: Path, capsys: Capture, sale_id: str
) -> None:
    assert sale(served, config, "show", sale_id) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said and "does not answer" not in said


def test_without_a_running_agent_the_fault_says_how_to_start_it(config: Path, capsys: Capture) -> None:
    assert main(["sale", "show", "sale-0001", "--config", str(config)]) == 1
    assert "systemctl start counterfoil" in capsys.readouterr().err


def test_the_offers_of_an_amount_are_shown_in_full(served: ServedLane, config: Path, capsys: Capture) -> None:
    assert sale(served, config, "offers", "30000") == 0
    told = capsys.readouterr().out
    assert "3x:" in told and "102.30" in told and "13.75%" in told
    assert sale(served, config, "offers", "30000", "--coupon", "SAVE10") == 0
    assert "无法识别的优惠券" in capsys.readouterr().out


def test_a_customer_chooses_by_hand(served: ServedLane, config: Path, capsys: Capture) -> None:
    code = served.till.phone().code()
    asked = ("make", "9000", "--sale-id", "sale-0001", "--code", code, "--offers")
    assert sale(served, config, *asked) == 1
    assert "Choose with: counterfoil sale choose sale-0001 PLAN" in capsys.readouterr().out
    assert sale(served, config, "choose", "sale-0001", "12x") == 1
    assert "is not offered the plan 12x" in capsys.readouterr().err
    assert sale(served, config, "choose", "sale-0001", "next-month") == 0
    assert "sale-0001: approved 00 stand_in" in capsys.readouterr().out
    assert sale(served, config, "show", "sale-0001", "--json") == 0
    assert json.loads(capsys.readouterr().out)["plan"]["plan"] == "next-month"


def test_a_plan_that_cannot_be_is_refused_in_a_sentence(served: ServedLane, config: Path, capsys: Capture) -> None:
    code = served.till.phone().code()
    assert sale(served, config, "make", "9000", "--code", code, "--plan", "12x") == 1
    assert "该方案不适用于此金额或商品" in capsys.readouterr().err


def test_capture_in_less_refund_and_void_are_one_command_each(
    served: ServedLane, config: Path, capsys: Capture
) -> None:
    code = served.till.phone().code()
    sale(served, config, "make", "3000", "--sale-id", "sale-0001", "--code", code, "--later")
    assert sale(served, config, "capture", "sale-0001", "2000") == 0
    for _ in range(2):
        assert sale(served, config, "refund", "sale-0001", "500", "--request-id", "r-1") == 0
    capsys.readouterr()
    assert sale(served, config, "refund", "sale-0001", "500") == 0
    assert "refunded ¥10.00" in capsys.readouterr().out
    assert sale(served, config, "void", "sale-0001") == 1
    assert "已部分退款" in capsys.readouterr().err
    sale(served, config, "make", "100", "--sale-id", "sale-0002", "--code", served.till.phone().code())
    assert sale(served, config, "void", "sale-0002") == 0


def test_a_refund_of_another_lanes_slip_says_that_it_needs_an_amount(
    served: ServedLane, config: Path, capsys: Capture
) -> None:
    assert sale(served, config, "refund", "sale-0001", "--lane", "lane-09") == 1
    assert "SALE_ID 5000 --lane LANE" in capsys.readouterr().err


def test_a_sale_whose_slip_is_lost_is_listed_by_its_amount(served: ServedLane, config: Path, capsys: Capture) -> None:
    for number, minor in ((1, "3000"), (2, "4000")):
        sale(served, config, "make", minor, "--sale-id", f"sale-000{number}", "--code", served.till.phone().code())
    capsys.readouterr()
    assert sale(served, config, "list", "--amount", "3000") == 0
    told = capsys.readouterr().out
    assert told.startswith("sale-0001") and len(told.splitlines()) == 1
    assert sale(served, config, "list", "--limit", "1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["sale_id"] for each in found["sales"]] == ["sale-0002"] and found["more"]
    assert sale(served, config, "list", "--day", "2020-01-01") == 0
    assert capsys.readouterr().out == "No such sale.\n"
