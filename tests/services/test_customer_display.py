"""What everybody in the queue may read: where the sale stands and the amount, in characters that the display has."""

from typing import get_args

import pytest

from agent.services.customer_display import STATES, TRAINING, screens
from agent.services.views import SHOWN_STATES
from agent.texts import LANGUAGES, Language, catalogue
from drivers.displays.screen import Screen, render
from drivers.document import columns_of

VIEW = {
    "state": "declined",
    "amount": {"minor": 123_450, "currency": "CNY"},
    "account": "…4711",
    "reason": "account_blocked",
}


def test_a_display_gets_the_amount_in_the_characters_that_it_has() -> None:
    chinese, latin, ascii_only = screens(VIEW, "zh-CN")
    assert chinese == ("未批准", "¥1234.50")
    assert latin == ("Not approved", "¥1234.50")
    assert ascii_only == ("Not approved", "CNY 1234.50")
    for rows, character_set in ((chinese, "gb18030"), (latin, "cp437"), (ascii_only, "ascii")):
        assert render(rows, Screen(character_set=character_set))


def test_neither_the_account_nor_the_reason_of_a_decline_is_shown() -> None:
    said = str(screens(VIEW, "en"))
    assert "4711" not in said
    assert "blocked" not in said


def test_a_sale_without_an_amount_yet_and_a_state_without_a_word_show_no_nonsense() -> None:
    assert screens({"state": "waiting"}, "en")[0] == ("Show your code", "")
    assert screens({"state": "expired"}, "en") == ((),)


@pytest.mark.parametrize("language", get_args(Language))
def test_every_word_fits_a_row_and_there_are_no_others(language: Language) -> None:
    words = catalogue(language)["display"]
    assert set(words) == {*STATES, TRAINING}
    assert all(columns_of(word) <= 20 for word in words.values())
    assert language in LANGUAGES


@pytest.mark.parametrize("state", [*STATES, "expired", ""])
def test_every_screen_of_a_training_counter_says_so_and_cuts_no_amount(state: str) -> None:
    view = {"state": state, "amount": {"minor": 99_999_900, "currency": "CNY"}}
    chinese, latin, ascii_only = screens(view, "zh-CN", is_training=True)
    assert [screen[1].split()[0] for screen in (chinese, latin, ascii_only)] == ["培训", "TRAINING", "TRAINING"]
    assert all(columns_of(row) <= 20 for screen in (chinese, latin, ascii_only) for row in screen)
    assert "".join(ascii_only).isascii()


def test_every_state_with_a_word_is_one_that_a_sale_can_have() -> None:
    assert set(STATES) <= {*SHOWN_STATES.values(), "waiting", "choosing", "unknown"}
