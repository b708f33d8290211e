"""A risk officer's table of cases: read strictly, answered by the real decision, told by line where it differs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.money import MINOR_MAX
from agent.core.policy_cases import CasesError, differences, read_cases
from tests.core.situations import POLICY

EXAMPLE = Path(__file__).parents[2] / "docs" / "policy-cases.csv"


def test_the_table_that_is_shipped_holds_for_the_default_policy() -> None:
    cases = read_cases(EXAMPLE.read_text("utf-8"), POLICY)
    assert len(cases) > 10 and list(differences(cases, POLICY)) == []


def test_a_case_that_is_answered_otherwise_is_told_by_line_and_column() -> None:
    cases = read_cases("# remark\ncase,sale_amount_minor,code,reason\nlarge,800.00,00,approved_offline\n", POLICY)
    found = [
        (row.case.line, row.case.name, row.column, row.expected, row.answered) for row in differences(cases, POLICY)
    ]
    assert found == [(3, "large", "code", "00", "61"), (3, "large", "reason", "approved_offline", "floor_limit")]


@pytest.mark.parametrize(
    ("table", "faults"),
    [
        ("", ("the table is empty",)),
        ("case,amount,code\n", ("line 1: unknown column 'amount'", "line 1: column 'reason' is missing")),
        ("code,reason,sale_amount_minor\n00,x\n", ("line 2: 2 cells, the header has 3",)),
        (
            "code,reason,sale_amount_minor,account_known,probe_draw\n00,x,1.5,perhaps,100\n61,y,0,yes,99\n",
            (
                "line 2: sale_amount_minor cannot be '1.5'; it is an amount like 128.00, or minor units from 1 to "
                + str(MINOR_MAX),
                "line 2: account_known cannot be 'perhaps'; it is yes or no",
                "line 2: probe_draw cannot be '100'; it is a whole number from 0 to 99",
                "line 3: sale_amount_minor cannot be '0'; it is an amount like 128.00, or minor units from 1 to "
                + str(MINOR_MAX),
            ),
        ),
    ],
)
def test_all_faults_of_a_table_are_told_at_once(table: str, faults: tuple[str, ...]) -> None:
    with pytest.raises(CasesError) as refused:
        read_cases(table, POLICY)
    assert refused.value.faults == faults


@given(st.text(max_size=200) | st.text('code,reason,\n0yes"', max_size=60).map(lambda rest: "code,reason\n" + rest))
def test_whatever_a_table_holds_it_is_read_or_refused(table: str) -> None:
    try:
        list(differences(read_cases(table, POLICY), POLICY))
    except CasesError as error:
        assert error.faults


def test_a_table_that_a_spreadsheet_has_saved_is_read() -> None:
    saved = (
        '\ufeff"# a remark, quoted"\r\ncase,sale_amount_minor,code,reason\r\n,,,\r\nsmall,12.80,00,approved_offline\r\n'
    )
    (case,) = read_cases(saved, POLICY)
    assert (case.line, case.name, case.situation.sale_amount_minor) == (4, "small", 1_280)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("case,code,reason\n", "the table has no cases"),
        ("case,probe_draw,probe_draw,code,reason\nx,1,2,00,ok\n", "line 1: column 'probe_draw' is there twice"),
        (
            "probe_draw,code,reason\n1_0,00,ok\n",
            "line 2: probe_draw cannot be '1_0'; it is a whole number from 0 to 99",
        ),
        (
            "probe_draw,code,reason\n\uff11,00,ok\n",
            "line 2: probe_draw cannot be '１'; it is a whole number from 0 to 99",
        ),
    ],
)
def test_a_table_that_would_say_less_than_it_seems_to_is_refused(table: str, fault: str) -> None:
    with pytest.raises(CasesError) as error:
        read_cases(table, POLICY)
    assert error.value.faults == (fault,)
