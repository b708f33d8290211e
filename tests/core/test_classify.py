"""Classification of scans: a table of shapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.classify import classify, gtin_valid

EMVCO_EXAMPLE = b"hQVDUFYwMWETTwegAAAAVVVVUAhQcm9kdWN0MWETTwegAAAAZmZmUAhQcm9kdWN0Mg=="


@pytest.mark.parametrize(
    ("scan", "kind"),
    [
        (EMVCO_EXAMPLE, "credit_pass"),
        (EMVCO_EXAMPLE + b"\r\n", "credit_pass"),
        (b"hQVDUFYwMA==", "other"),  # 85 "CPV00": another version of the format
        (b"hQVDUFYwM", "other"),
        (b"CFS1:abc", "slip"),
        (b"CFS2.abc", "other"),
        (b"25" + b"0" * 14, "wallet_alipay"),
        (b"30" + b"9" * 22, "wallet_alipay"),
        (b"30" + b"9" * 23, "other"),
        (b"25" + b"0" * 13, "other"),
        (b"24" + b"0" * 16, "other"),
        (b"31" + b"0" * 16, "other"),
        (b"10" + b"1" * 16, "wallet_wechat"),
        (b"15" + b"1" * 16, "wallet_wechat"),
        (b"16" + b"1" * 16, "other"),
        (b"10" + b"1" * 15, "other"),
        (b"10" + b"1" * 17, "other"),
        (b"62" + b"3" * 17, "wallet_unionpay"),
        (b"62" + b"3" * 16, "other"),
        (b"62" + b"3" * 18, "other"),
        (b"4006381333931", "item"),  # EAN-13
        (b"4006381333932", "other"),
        (b"73513537", "item"),  # EAN-8
        (b"036000291452", "item"),  # UPC-A
        (b"036000291453", "other"),
        (b"6901234567892\r", "item"),
        (b"6901234567892 6901234567892", "other"),
        ("６９０１２３４５６７８９２".encode(), "other"),  # full-width digits are not a barcode
        (b"", "other"),
        (b"\xff\xfe\x00", "other"),
        ("会员卡123".encode(), "other"),
    ],
)
def test_a_scan_is_of_the_kind_that_its_shape_says(scan: bytes, kind: str) -> None:
    assert classify(scan).kind == kind


def test_the_value_is_the_text_without_the_line_ending() -> None:
    assert classify(b"4006381333931\r\n").value == "4006381333931"


@given(st.binary(max_size=80))
def test_any_bytes_are_classified(scan: bytes) -> None:
    classify(scan)


@given(st.integers(0, 10**12 - 1), st.integers(0, 11), st.integers(1, 9))
def test_a_wrong_digit_is_never_an_item(number: int, place: int, change: int) -> None:
    digits = f"{number:012d}"
    check = next(last for last in "0123456789" if gtin_valid(digits + last))
    wrong = digits[:place] + str((int(digits[place]) + change) % 10) + digits[place + 1 :] + check
    assert classify((digits + check).encode()).kind == "item"
    assert classify(wrong.encode()).kind == "other"
