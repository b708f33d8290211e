"""A coupon counts for one account, one lender, its plans and its time, and nothing else is a coupon."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.cose import SigningKey
from agent.core.coupons import PREFIX, REASONS, Coupon, CouponRefused, check_use, issue_coupon, read_coupon
from agent.core.trust import KeyEntry, KeyList, Role
from agent.texts import LANGUAGES, catalogue

NOW = 1_800_000_000
KEY = SigningKey.from_seed("ed25519", b"k" * 32)
ACCOUNT = bytes(range(16))
COUPON = Coupon(b"coupon-number-01", "shoplend", ACCOUNT, NOW - 100, NOW + 100, 50_000, "lender", ("3x",))
TEXT = issue_coupon(COUPON, KEY)


def keys(lender: str = "shoplend", key: SigningKey = KEY, role: Role = Role.COUPON) -> KeyList:
    entry = KeyEntry(key.public.kid, key.public, role, NOW - 1_000, NOW + 1_000)
    return KeyList(lender, 1, NOW - 1_000, NOW + 1_000, (entry,), "CNY")


def refused(text: str, by: KeyList) -> str:
    with pytest.raises(CouponRefused) as error:
        read_coupon(text, by, at=NOW)
    return error.value.reason


def test_a_coupon_is_read_back_as_it_was_issued() -> None:
    assert read_coupon(TEXT, keys(), at=NOW) == COUPON
    assert len(TEXT) < 300, "short enough for a code on a phone"


@pytest.mark.parametrize(
    ("text", "by", "reason"),
    [
        ("", keys(), "coupon_malformed"),
        ("SAVE10", keys(), "coupon_malformed"),
        (TEXT[:-9], keys(), "coupon_malformed"),
        (PREFIX + "?", keys(), "coupon_malformed"),
        (PREFIX + "A" * 2_000, keys(), "coupon_malformed"),
        (TEXT, keys(key=SigningKey.from_seed("ed25519", b"o" * 32)), "coupon_other_lender"),
        (TEXT, keys("otherlend"), "coupon_other_lender"),
        (TEXT, keys(role=Role.POLICY), "coupon_untrusted"),
        (issue_coupon(replace(COUPON, lender="otherlend"), KEY), keys(), "coupon_other_lender"),
    ],
)
def test_what_is_no_coupon_of_this_lender_is_refused(text: str, by: KeyList, reason: str) -> None:
    assert refused(text, by) == reason


def test_an_altered_coupon_is_refused() -> None:
    at = len(TEXT) // 3
    assert refused(TEXT[:at] + ("B" if TEXT[at] == "A" else "A") + TEXT[at + 1 :], keys()).startswith("coupon_")


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert refused(PREFIX + text, keys()) in REASONS


@pytest.mark.parametrize(
    ("sale", "reason"),
    [
        ({"account": bytes(16)}, "coupon_other_account"),
        ({"plan_id": "6x"}, "coupon_other_plan"),
        ({"amount_minor": 50_001}, "coupon_amount"),
        ({"at": NOW - 101}, "coupon_not_yet"),
        ({"at": NOW + 100}, "coupon_expired"),
        ({"account": None}, None),
        ({"amount_minor": 50_000, "at": NOW + 99}, None),
        ({"at": NOW - 100}, None),
    ],
)
def test_a_coupon_is_for_its_account_plans_amounts_and_time(sale: dict[str, object], reason: str | None) -> None:
    given = {"account": ACCOUNT, "plan_id": "3x", "amount_minor": 1_000, "at": NOW} | sale
    if reason is None:
        check_use(COUPON, **given)  # type: ignore[arg-type]
        return
    with pytest.raises(CouponRefused) as error:
        check_use(COUPON, **given)  # type: ignore[arg-type]
    assert error.value.reason == reason


def test_every_refusal_has_its_sentences() -> None:
    assert all(set(REASONS) <= set(catalogue(language)["reasons"]) for language in LANGUAGES)
