"""HID-POS: the report descriptor says where the code is; reports give codes however they are cut up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.scanners.framing import Code, Dropped
from drivers.scanners.hid_descriptor import ScanReport, is_scanner, scan_reports
from drivers.scanners.hidpos import ReportStream
from tests.drivers.machines import HIDPOS_DESCRIPTOR, KEYBOARD_DESCRIPTOR

UNNUMBERED = bytes.fromhex("068c00 0902a101 0912a102 7508 9504 09fe 8102 9501 09ff 8102 c0c0".replace(" ", ""))
"""No report ids, no count, no symbology; data continued is a whole byte."""


def reports_of(code: bytes, symbology: bytes = b"]Q1") -> bytes:
    """As a scanner with that descriptor sends it: 56 bytes a report, the last one says that it is the last."""
    pieces = [code[start : start + 56] for start in range(0, len(code), 56)] or [b""]
    return b"".join(
        bytes([2, len(piece)]) + symbology + piece.ljust(56, b"\0") + b"\0\0" + bytes([number < len(pieces)])
        for number, piece in enumerate(pieces, 1)
    )


def test_the_descriptor_says_where_the_code_is() -> None:
    assert scan_reports(HIDPOS_DESCRIPTOR) == {
        2: ScanReport(2, 64, data_at=40, data_bytes=56, count_at=8, symbology_at=(16, 24, 32), continued_at=504)
    }
    assert scan_reports(UNNUMBERED) == {0: ScanReport(0, 5, data_at=0, data_bytes=4, continued_at=32)}


def test_a_keyboard_is_no_scanner() -> None:
    assert not is_scanner(KEYBOARD_DESCRIPTOR)


@given(st.binary(max_size=300))
def test_no_descriptor_however_broken_does_harm(noise: bytes) -> None:
    for report in scan_reports(HIDPOS_DESCRIPTOR[:40] + noise).values():
        assert report.size_bytes <= 2 * 4096 * 300


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=4), st.integers(1, 200))
def test_codes_arrive_whole_however_the_reports_are_cut_up(codes: list[bytes], size: int) -> None:
    stream, data = ReportStream(scan_reports(HIDPOS_DESCRIPTOR)), b"".join(map(reports_of, codes))
    found = [frame for at in range(0, len(data), size) for frame in stream.feed(data[at : at + size])]
    assert found == [Code(code, "]Q1") for code in codes]


def test_a_device_without_count_and_numbers_is_read_up_to_its_padding() -> None:
    stream = ReportStream(scan_reports(UNNUMBERED))
    assert stream.feed(b"abcd\1ef\0\0\0") == (Code(b"abcdef", None),)


def test_a_field_without_an_aim_identifier_is_no_symbology() -> None:
    (code,) = ReportStream(scan_reports(HIDPOS_DESCRIPTOR)).feed(reports_of(b"12345670", b"\0\0\0"))
    assert code == Code(b"12345670", None)


def test_reports_of_another_kind_are_skipped() -> None:
    stream = ReportStream(scan_reports(HIDPOS_DESCRIPTOR))
    assert stream.feed(b"\x07\x01\x02") == ()
    assert stream.feed(reports_of(b"next")) == (Code(b"next", "]Q1"),)


def test_a_code_that_never_ends_is_one_error_in_bounded_memory_and_the_next_is_whole() -> None:
    stream = ReportStream(scan_reports(HIDPOS_DESCRIPTOR), code_bytes_max=100)
    goes_on = bytes([2, 56]) + b"]Q1" + b"x" * 56 + b"\0\0\1"
    assert [frame for _ in range(50) for frame in stream.feed(goes_on)] == [Dropped("overlong")]
    assert stream.feed(goes_on[:-1] + b"\0") == ()
    assert stream.feed(reports_of(b"next")) == (Code(b"next", "]Q1"),)


def test_half_a_code_is_given_up_after_the_pause() -> None:
    stream = ReportStream(scan_reports(HIDPOS_DESCRIPTOR))
    stream.feed(reports_of(b"x" * 100)[:64])
    assert stream.pause() == (Dropped("unterminated"),)
    assert stream.pause() == ()
    assert stream.feed(reports_of(b"next")) == (Code(b"next", "]Q1"),)
