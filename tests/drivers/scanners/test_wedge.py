"""A typing scanner's input events become codes by the same rules as a serial line's bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import OptionError
from drivers.scanners.framing import Code, Dropped, Framing
from drivers.scanners.wedge import EV_KEY, EV_SYN, INPUT_EVENT, SYN_DROPPED, WedgeSettings, WedgeStream
from tests.drivers.scanners.typing_scanner import CTRL_BRACKET, event, keys_for, pressed


def stream(suffix: str = "cr", layout: str = "us", gs_text: str = "", **framing: object) -> WedgeStream:
    return WedgeStream(WedgeSettings(layout, gs_text), Framing(suffix, **framing))


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60), st.integers(1, 500))
def test_what_is_typed_arrives_however_the_events_are_cut_up(text: str, size: int) -> None:
    reader, data = stream(aim_prefix=False), keys_for(text + "\r")
    found = [frame for at in range(0, len(data), size) for frame in reader.feed(data[at : at + size])]
    assert found == [Code(text.encode(), None)]


@pytest.mark.parametrize("layout", ["us", "uk", "de", "fr", "es"])
def test_a_pass_in_base64_arrives_in_every_layout(layout: str) -> None:
    """Every character that a credit pass, a slip or a wallet code can hold."""
    text = "hQVDUFYwMQ+/=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:-"
    assert stream(layout=layout).feed(keys_for(text + "\r", layout)) == (Code(text.encode(), None),)


@pytest.mark.parametrize(("suffix", "end"), [("cr", "\r"), ("tab", "\t")])
def test_enter_or_the_tabulator_ends_a_code(suffix: str, end: str) -> None:
    assert stream(suffix).feed(keys_for("4006381333931" + end)) == (Code(b"4006381333931", None),)


def test_without_a_suffix_the_pause_ends_a_code() -> None:
    reader = stream("timeout")
    assert reader.feed(keys_for("4006381333931")) == ()
    assert reader.pause() == (Code(b"4006381333931", None),)


def test_half_a_code_is_given_up_after_the_pause() -> None:
    reader = stream()
    assert reader.feed(keys_for("40063")) == ()
    assert reader.pause() == (Dropped("unterminated"),)
    assert reader.feed(keys_for("81333931\r")) == (Code(b"81333931", None),)


def test_the_aim_prefix_is_read_and_gs_is_kept() -> None:
    keys = keys_for("]C10106901234567892") + keys_for("10A") + CTRL_BRACKET + keys_for("21B\r")
    assert stream().feed(keys) == (Code(b"010690123456789210A\x1d21B", "]C1"),)


@pytest.mark.parametrize("gs_text", ["^]", "|", "{GS}"])
def test_a_scanner_that_cannot_type_gs_types_what_it_was_set_to(gs_text: str) -> None:
    keys = keys_for(f"10A{gs_text}21B\r")
    assert stream(gs_text=gs_text).feed(keys) == (Code(b"10A\x1d21B", None),)


def test_when_keys_were_lost_the_code_is_dropped_with_a_word_and_the_next_is_whole() -> None:
    """What is left of a code would be a wrong one, with a check digit that fits one time in ten."""
    reader = stream()
    lost = event(EV_SYN, SYN_DROPPED, 0) + event(EV_KEY, 5, 1) + event(EV_SYN, 0, 0)
    assert reader.feed(keys_for("40063") + lost) == (Dropped("keys_lost"),)
    assert reader.feed(keys_for("31333931\r")) == ()
    assert reader.feed(keys_for("4006381333931\r")) == (Code(b"4006381333931", None),)


def test_noise_without_end_is_one_error_in_bounded_memory() -> None:
    reader = stream()
    assert [frame for _ in range(30) for frame in reader.feed(pressed(3) * 300)] == [Dropped("overlong")]
    assert reader._framer.held_bytes < 10
    reader.feed(keys_for("\r"))
    assert reader.feed(keys_for("next\r")) == (Code(b"next", None),)


@given(st.binary(max_size=600))
def test_no_event_however_odd_does_harm(noise: bytes) -> None:
    reader = stream()
    reader.feed(noise)
    assert len(reader._unread) < INPUT_EVENT.size


def test_a_layout_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(OptionError, match="us, uk, de, fr, es"):
        WedgeSettings("dvorak")
