"""The statement of an offer is one document: what is shown, hashed and checked is the same, and adds up."""

from contextlib import suppress
from dataclasses import replace
from datetime import date

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import cbor
from agent.core.coupons import Coupon
from agent.core.default_plans import default_instalments
from agent.core.disclosure import BYTES_MAX, Statement, StatementError, read_statement, statement
from agent.core.instalments import offer
from agent.core.plans import Instalments, parse_instalments

SOLD_ON = date(2026, 1, 31)
COUPON = Coupon(b"coupon-number-01", "shoplend", bytes(16), 1, 2, 10**9, "merchant")


def terms() -> Instalments:
    read = parse_instalments(default_instalments())
    assert read is not None
    return read


def made(plan_id: str = "3x", minor: int = 100_000, coupon: Coupon | None = None) -> Statement:
    plan = terms().find(plan_id)
    assert plan is not None
    return statement(
        terms(), offer(plan, minor, SOLD_ON, interest_free=coupon is not None), "CNY", SOLD_ON, coupon
    )  # fmt: skip


@given(st.sampled_from([plan.plan_id for plan in terms().plans]), st.integers(100, 10**9), st.booleans())
def test_a_statement_is_read_back_as_it_was_written_and_its_digest_is_of_those_bytes(
    plan_id: str, minor: int, has_coupon: bool
) -> None:
    said = made(plan_id, minor, COUPON if has_coupon else None)
    assert read_statement(said.encode()) == said
    assert said.total_minor == minor + said.fee_minor
    assert read_statement(said.encode()).digest == said.digest
    assert len(said.encode()) < BYTES_MAX


def test_it_says_all_that_the_rule_of_2026_wants() -> None:
    said = cbor2.loads(made().encode())
    assert said["principal_minor"] == 100_000
    assert said["payments"][0] == ["2026-02-28", 33_334, 768]
    assert (said["fee_method"], said["fee_rate"]) == ("spread", "0.023")
    assert (said["nominal"], said["effective"]) == ("13.75", "14.65")
    for words in ("lender", "default_terms", "reminder", "complaints"):
        assert all(said[words][language] for language in ("zh-CN", "en"))


def test_a_coupon_leaves_no_cost_and_says_what_it_was_worth() -> None:
    said = made(coupon=COUPON)
    assert (said.fee_minor, said.waived_minor, said.nominal, said.borne_by) == (0, 2_300, "0.00", "merchant")


def test_another_amount_plan_day_or_coupon_is_another_digest() -> None:
    seen = {made(*of).digest for of in [("3x", 100_000), ("3x", 100_001), ("6x", 100_000), ("3x", 100_000, COUPON)]}
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"principal_minor": 99_999}, "do not add up"),
        ({"nominal": "1.00"}, "cost 13.75 % a year, not 1.00 %"),
        ({"payments": ()}, "no payments"),
        ({"borne_by": "lender"}, "a coupon that nobody bears"),
    ],
)
def test_a_statement_that_contradicts_itself_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(StatementError, match=said):
        read_statement(replace(made(), **change).encode())  # type: ignore[arg-type]


@given(st.binary(max_size=100) | st.dictionaries(st.text(max_size=5), st.integers(0, 9)).map(cbor.encode))
def test_other_bytes_are_refused_and_never_break(data: bytes) -> None:
    with pytest.raises(StatementError):
        read_statement(data)


@given(st.integers(0, 2_000), st.binary(min_size=1, max_size=3))
def test_a_torn_statement_is_refused_or_reads_as_another(at: int, bite: bytes) -> None:
    data = made().encode()
    torn = data[: at % len(data)] + bite + data[at % len(data) + len(bite) :]
    with suppress(StatementError):
        assert torn == data or read_statement(torn) != made()
