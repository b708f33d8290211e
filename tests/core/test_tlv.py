"""BER-TLV: strict in, minimal out."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import tlv

EMVCO_EXAMPLE = (
    "hQVDUFYwMWETTwegAAAAVVVVUAhQcm9kdWN0MWETTwegAAAAZmZmUAhQcm9kdWN0MmJJWggSNFZ4kBI0WF8gDkNBUkRIT0xERVIvRU1WXy0IcnVl"
    "c2RlZW5kIZ8QBwYBCgMAAACfJghYT9OF+iNLzJ82AgABnzcEbVjvEw=="
)


def test_the_example_of_emvco_is_read_element_by_element() -> None:
    elements = [(depth, f"{tag:X}", value.hex()) for depth, (tag, value) in tlv.walk(base64.b64decode(EMVCO_EXAMPLE))]
    leaves = [element for element in elements if element[1] not in ("61", "62", "64")]
    assert leaves == [
        (0, "85", b"CPV01".hex()),
        (1, "4F", "a0000000555555"),
        (1, "50", b"Product1".hex()),
        (1, "4F", "a0000000666666"),
        (1, "50", b"Product2".hex()),
        (1, "5A", "1234567890123458"),
        (1, "5F20", b"CARDHOLDER/EMV".hex()),
        (1, "5F2D", b"ruesdeen".hex()),
        (2, "9F10", "06010a03000000"),
        (2, "9F26", "584fd385fa234bcc"),
        (2, "9F36", "0001"),
        (2, "9F37", "6d58ef13"),
    ]


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        ("80", "no length"),
        ("8001", "a value cut off"),
        ("8080", "an indefinite length"),
        ("80817f" + "00" * 0x7F, "81 for a short length"),
        ("808200ff" + "00" * 0xFF, "82 for a length that fits 81"),
        ("8081", "81 without its byte"),
        ("808201", "82 cut off"),
        ("80830000ff" + "00" * 0xFF, "83"),
        ("80ff", "a reserved length"),
        ("df", "a tag cut off"),
        ("df80", "a longer tag cut off"),
        ("df800100", "a tag that begins with zeros"),
        ("df81818100", "a tag of more than three bytes"),
        ("0000", "padding"),
    ],
)
def test_what_is_not_strict_is_refused(encoded: str, why: str) -> None:
    with pytest.raises(tlv.TlvError):
        tlv.read(bytes.fromhex(encoded))


def test_nesting_is_bounded() -> None:
    data = b""
    for _ in range(7):
        data = tlv.write(0x61, data)
    with pytest.raises(tlv.TlvError):
        list(tlv.walk(data))
    assert len(list(tlv.walk(data, depth_max=8))) == 7


@pytest.mark.parametrize("size", [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF])
@pytest.mark.parametrize("tag", [0x4F, 0x61, 0xDF01, 0x9F8101])
def test_reading_undoes_writing_at_every_form_of_length_and_tag(tag: int, size: int) -> None:
    assert tlv.read(tlv.write(tag, bytes(size))) == [(tag, bytes(size))]


def test_a_value_beyond_two_length_bytes_is_not_written() -> None:
    with pytest.raises(tlv.TlvError):
        tlv.write(0x4F, bytes(0x10000))


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_and_what_is_read_writes_back(data: bytes) -> None:
    try:
        elements = tlv.read(data)
    except tlv.TlvError:
        return
    assert b"".join(tlv.write(tag, value) for tag, value in elements) == data
