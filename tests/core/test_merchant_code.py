"""The merchant-presented code: checked against vectors that others published, and read back to the character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.merchant_code import (
    CODE_CHARS_MAX,
    GUID,
    NUMERIC_CURRENCIES,
    MerchantCodeError,
    Payee,
    Presented,
    crc16,
    is_template,
    merchant_code,
    objects_of,
    objects_within,
    read_code,
    reference_of,
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
REFERENCE = reference_of("lane-01", "till-7-000123", 1)
OTHERS = (
    # Mastercard's developer pages, "Generate QR Code for Merchants".
    "000201010211057704736a2f41a3-c54c-fce8-32d2-0324e1c32e22*3440e5bf-81ca-4c5f-a1b2-cf989f09a0395204502453038405403100"
    "5802US5913Test Merchant6008New York62080304123463046F6D",
    # Tests of PayNow libraries in Kotlin and Swift.
    "00020101021126490009SG.PAYNOW010120210201403121W030110408203012315204000053037025802SG5913ACME Pte Ltd."
    "6009Singapore6304B69E",
    "00020101021226500009SG.PAYNOW010100211+659123456703010040820310916520400005303702540525.505802SG5913Demo Merchant"
    "6009Singapore62160112INV-DEMO-00163048F64",
)
TEXT = st.text(st.characters(exclude_categories=("C", "Z")), max_size=40)


def code(payee: Payee = PAYEE, amount: Money = Money(12_800, "CNY"), store: str = "s1") -> str:  # noqa: B008
    return merchant_code(payee, store=store, lane="lane-01", reference=REFERENCE, amount=amount)


def all_of(text: str) -> dict[str, str]:
    """The data objects of a code by id; those of a template as ``62.05``. Raises MerchantCodeError."""
    found = objects_of(text)
    nested = {key: objects_within(value) for key, value in found.items() if is_template(key)}
    return found | {f"{key}.{sub}": value for key, objects in nested.items() for sub, value in objects.items()}


@pytest.mark.parametrize(("data", "crc"), [(b"123456789", 0x29B1), (b"", 0xFFFF), (b"A", 0xB915)])
def test_the_checksum_is_the_one_of_the_catalogue(data: bytes, crc: int) -> None:
    assert crc16(data) == crc


def test_the_example_of_the_specification_is_read_and_its_checksum_made_again() -> None:
    found = all_of(BEST_TRANSPORT)
    assert (found["54"], found["53"], found["59"]) == ("23.72", "156", "BEST TRANSPORT")
    assert (found["64.01"], found["62.07"], found["29.05"]) == ("最佳运输", "A6008667", "A93FO3230Q")
    assert signed_off(BEST_TRANSPORT[:-8]) == BEST_TRANSPORT


@pytest.mark.parametrize("text", OTHERS)
def test_codes_that_others_published_add_up(text: str) -> None:
    assert signed_off(text[:-8]) == text and objects_of(text)["00"] == "01"


def test_a_code_names_the_sale_its_lane_and_its_exact_amount() -> None:
    found = all_of(code())
    assert (found["54"], found["53"], found["62.05"]) == ("128.00", "156", REFERENCE)
    assert (found["26.00"], found["26.01"], found["26.02"]) == (GUID, "shoplend", "m1")
    assert (found["62.03"], found["62.07"], found["64.01"]) == ("s1", "lane-01", "示例超市")
    assert (found["01"], found["00"]) == ("12", "01")


@given(st.sampled_from(sorted(NUMERIC_CURRENCIES)), st.integers(1, 10**12), TEXT, TEXT)
def test_whatever_a_shop_is_called_its_code_reads_back(currency: str, minor: int, name: str, local: str) -> None:
    payee = Payee("l", "m", "5411", "CN", name or "x", "Shanghai", "zh", local)
    text = code(payee, Money(minor, currency))
    assert all_of(text)["59"] == (name or "x")[:25]
    assert len(text) <= CODE_CHARS_MAX
    assert text[:4] == "0002" and text[-8:-4] == "6304"


@given(st.integers(0, len(BEST_TRANSPORT) - 1), st.characters(codec="ascii"))
def test_one_changed_character_is_noticed(at: int, char: str) -> None:
    if char == BEST_TRANSPORT[at]:
        return
    with pytest.raises(MerchantCodeError):
        objects_of(BEST_TRANSPORT[:at] + char + BEST_TRANSPORT[at + 1 :])


@pytest.mark.parametrize(
    "make",
    [
        lambda: code(amount=Money(1, "KWD")),
        lambda: code(Payee("l", "m" * 90, "5411", "CN", "A", "B")),
        lambda: code(store="till\n7"),
    ],
    ids=["a currency without a number", "too long", "control characters"],
)
def test_what_a_code_cannot_say_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(MerchantCodeError):
        make()


@given(st.sampled_from(sorted(NUMERIC_CURRENCIES)), st.integers(1, 10**12))
def test_the_lenders_app_reads_whom_to_pay_for_which_attempt_and_how_much(currency: str, minor: int) -> None:
    amount = Money(minor, currency)
    assert read_code(code(amount=amount)) == Presented("shoplend", "m1", REFERENCE, amount)


@pytest.mark.parametrize(
    "text",
    [
        BEST_TRANSPORT,
        OTHERS[0],
        "",
        "https://example.com",
        signed_off(code()[:-8].replace("128.00", "0128.0")),
        signed_off(code()[:-8].replace("128.00", "128.0x")),
        signed_off(code()[:-8].replace("5303156", "5303999")),
        signed_off(code()[:-8].replace("010212", "010211")),
        code() + "\n",
    ],
)  # fmt: skip
def test_what_is_no_code_for_one_sale_is_refused(text: str) -> None:
    with pytest.raises(MerchantCodeError):
        read_code(text)


@given(st.text(max_size=600))
def test_no_text_makes_the_reader_fail_otherwise(text: str) -> None:
    for tried in (text, f"000201{text}", signed_off(f"000201{text[:400]}")):
        try:
            read_code(tried)
        except MerchantCodeError:
            continue


def test_each_attempt_of_each_sale_has_a_reference_that_fits_a_label() -> None:
    found = {reference_of(lane, sale, n) for lane in ("a", "b") for sale in ("s-1", "s-2") for n in (1, 2, 12)}
    assert len(found) == 12 and {len(each) for each in found} == {25}
