"""The merchant-presented code: checked against vectors that others published, and read back to the character."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.merchant_code import (
    CODE_CHARS_MAX,
    GUID,
    NUMERIC_CURRENCIES,
    MerchantCodeError,
    Payee,
    crc16,
    is_template,
    merchant_code,
    signed_off,
)
from agent.core.money import Money

# The example of EMVCo's specification (v1.1, annex), as the tests of libraries in Java and Go have it too.
BEST_TRANSPORT = (
    "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN5914BEST TRANSPORT"
    "6007BEIJING64200002ZH0104最佳运输0202北京540523.7253031565502016233030412340603***0708A6008667"
    "0902ME91320016A0112233449988770708123456786304A13A"
)
PAYEE = Payee("shoplend", "m1", "5411", "CN", "Example Market", "Shanghai", "zh", "示例超市")
TEXT = st.text(st.characters(exclude_categories=("C", "Z")), max_size=40)


def code(payee: Payee = PAYEE, amount: Money = Money(12_800, "CNY"), sale_id: str = "till-7-000123") -> str:  # noqa: B008
    return merchant_code(payee, store="s1", lane="lane-01", sale_id=sale_id, amount=amount)


class Damaged(ValueError):
    """A text that is no merchant's code."""


def read_code(text: str) -> dict[str, str]:
    """The data objects of a code by id, without its checksum; those of a template as ``62.05``. Raises Damaged."""
    body, crc = text[:-4], text[-4:]
    if not body.endswith("6304") or f"{crc16(body.encode()):04X}" != crc:
        raise Damaged("checksum")
    found = objects_of(body.removesuffix("6304"))
    nested = {key: objects_of(value) for key, value in found.items() if is_template(key)}
    return found | {f"{key}.{sub}": value for key, objects in nested.items() for sub, value in objects.items()}


def objects_of(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    while text:
        head = text[:4]
        if not re.fullmatch("[0-9]{4}", head, re.ASCII) or len(text) < 4 + int(head[2:]) or head[:2] in found:
            raise Damaged(head)
        found[head[:2]], text = text[4 : 4 + int(head[2:])], text[4 + int(head[2:]) :]
    return found


@pytest.mark.parametrize(("data", "crc"), [(b"123456789", 0x29B1), (b"", 0xFFFF), (b"A", 0xB915)])
def test_the_checksum_is_the_one_of_the_catalogue(data: bytes, crc: int) -> None:
    assert crc16(data) == crc


def test_the_example_of_the_specification_is_read_and_its_checksum_made_again() -> None:
    found = read_code(BEST_TRANSPORT)
    assert (found["54"], found["53"], found["59"]) == ("23.72", "156", "BEST TRANSPORT")
    assert (found["64.01"], found["62.07"], found["29.05"]) == ("最佳运输", "A6008667", "A93FO3230Q")
    assert signed_off(BEST_TRANSPORT[:-8]) == BEST_TRANSPORT


def test_a_code_names_the_sale_its_lane_and_its_exact_amount() -> None:
    found = read_code(code())
    assert (found["54"], found["53"], found["62.05"]) == ("128.00", "156", "till-7-000123")
    assert (found["26.00"], found["26.01"], found["26.02"]) == (GUID, "shoplend", "m1")
    assert (found["62.03"], found["62.07"], found["64.01"]) == ("s1", "lane-01", "示例超市")
    assert (found["01"], found["00"]) == ("12", "01")


@given(st.sampled_from(sorted(NUMERIC_CURRENCIES)), st.integers(1, 10**12), TEXT, TEXT)
def test_whatever_a_shop_is_called_its_code_reads_back(currency: str, minor: int, name: str, local: str) -> None:
    payee = Payee("l", "m", "5411", "CN", name or "x", "Shanghai", "zh", local)
    text = code(payee, Money(minor, currency))
    assert read_code(text)["59"] == (name or "x")[:25]
    assert len(text) <= CODE_CHARS_MAX
    assert text[:4] == "0002" and text[-8:-4] == "6304"


@given(st.integers(0, len(BEST_TRANSPORT) - 1), st.characters(codec="ascii"))
def test_one_changed_character_is_noticed(at: int, char: str) -> None:
    if char == BEST_TRANSPORT[at]:
        return
    with pytest.raises(Damaged):
        read_code(BEST_TRANSPORT[:at] + char + BEST_TRANSPORT[at + 1 :])


@pytest.mark.parametrize(
    "make",
    [lambda: code(amount=Money(1, "KWD")), lambda: code(sale_id="x" * 37), lambda: code(sale_id="till\n7")],
    ids=["a currency without a number", "too long", "control characters"],
)
def test_what_a_code_cannot_say_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(MerchantCodeError):
        make()
