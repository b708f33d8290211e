"""Plays `sales/*.txt`, which a risk officer reads and writes, at real lanes; `README.md` says how to add a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent.core.decision import RESPONSE_CODES
from agent.core.default_policy import RULES
from agent.texts import LANGUAGES, Language
from tests.scenarios import phrases
from tests.scenarios.phrases import happen, sell, set_up
from tests.scenarios.scenario_file import Event, Misread, SaleLine, Scene, cells, read_lines, read_scenes
from tests.scenarios.shop import Shop, Told

FOLDER = Path(__file__).parent
SCENES = [scene for path in sorted((FOLDER / "sales").glob("*.txt")) for scene in read_scenes(path)]
SENTENCES = FOLDER / "sentences.txt"
FIELDS = ("cashier", "customer", "next")
TABLES = (
    phrases.POLICY, phrases.SNAPSHOT, phrases.ACCOUNT, phrases.CLOCK, phrases.PASS, phrases.LINK, phrases.EVENTS,
)  # fmt: skip


@cache
def agreed() -> dict[tuple[str, str], tuple[str, dict[str, str]]]:
    """The sentences by (reason, language): where they stand, and what each person is told."""
    rows = [(line, cells(line.text)) for line in read_lines(SENTENCES)]
    short = [line for line, row in rows if len(row) != 2 + len(FIELDS)]
    if short:
        raise short[0].misread("a line is: reason | language | cashier | customer | next")
    return {(row[0], row[1]): (line.where, dict(zip(FIELDS, row[2:], strict=True))) for line, row in rows}


def played(scene: Scene) -> Iterator[tuple[SaleLine, Told]]:
    """Every sale of the scene, and what the lane made of it. Raises Misread."""
    with TemporaryDirectory() as directory, ExitStack() as opened:
        shop = Shop(Path(directory), opened)
        set_up(shop, scene)
        for step in scene.steps:
            if isinstance(step, SaleLine):
                yield step, sell(shop, step)
            else:
                happen(shop, step)


@cache
def outcomes(scene_number: int) -> tuple[tuple[SaleLine, Told], ...]:
    return tuple(played(SCENES[scene_number]))


def differences(sale: SaleLine, told: Told) -> list[str]:
    """The line, and below it what the lane says otherwise; nothing if it says all of it."""
    rows = [
        f"  {column:<8} expected {wanted or '-':<20} but the lane says {told.answers.get(column) or '-'}"
        for column, wanted in sale.expected.items()
        if wanted != told.answers.get(column, "")
    ]
    for language in LANGUAGES:
        rows += _said_otherwise(told, language)
    return [f"{sale.line.where}: {sale.line.text.strip()}", *rows] if rows else []


def _said_otherwise(told: Told, language: Language) -> list[str]:
    reason = told.answers["reason"]
    if (reason, language) not in agreed():
        return [f"  {SENTENCES.name} has no line for {reason} in {language}"]
    where, sentences = agreed()[reason, language]
    return [
        f"  {where} {field}: expected {sentences[field]!r} but {told.texts[language][field]!r} is said"
        for field in FIELDS
        if sentences[field] != told.texts[language][field]
    ]


@pytest.mark.parametrize("number", range(len(SCENES)), ids=[scene.line.where for scene in SCENES])
def test_every_sale_of_the_scene_is_answered_as_its_line_says(number: int) -> None:
    try:
        found = [row for sale, told in outcomes(number) for row in differences(sale, told)]
    except Misread as misread:
        pytest.fail(str(misread), pytrace=False)
    if found:
        pytest.fail("\n".join([f"scene {SCENES[number].title}", *found]), pytrace=False)


IN_DECISION_TXT = {"refund-cycle"}


def test_every_rule_and_every_reason_of_the_lane_is_met_in_some_scene() -> None:
    told = [told.answers for number in range(len(SCENES)) for _, told in outcomes(number)]
    assert {rule["id"] for rule in RULES} - IN_DECISION_TXT <= {
        rule for answers in told for rule in answers.get("rules", "").split()
    }
    assert set(RESPONSE_CODES) <= {answers["reason"] for answers in told}
    assert len(told) >= 100


def test_every_agreed_sentence_and_every_phrase_is_needed() -> None:
    steps = [step for scene in SCENES for step in scene.steps]
    sales = [step for step in steps if isinstance(step, SaleLine)]
    assert {reason for reason, _ in agreed()} <= {sale.expected["reason"] for sale in sales}
    words = [words for scene in SCENES for _, _, words in scene.setting]
    words += [step.text for step in steps if isinstance(step, Event)]
    words += [sale.asked.get(column, "") for sale in sales for column in ("pass", "link")]
    words += [rest for _, _, rest in (text.partition(" ") for text in words)]  # without the key or the name before
    said = [phrase.strip() for text in words for phrase in text.split(",")]
    assert not [row for table in TABLES for row in table if not any(re.fullmatch(row, phrase) for phrase in said)]


WRONG = """scene a line that does not hold
  account ann  lease 500.00
  time  | account | amount => answer   | code | reason           | paid by
  16:00 | ann     | 12.34  => approved | 00   | approved_offline | lease
  16:40 | ann     | 812.34 => approved | 00   | approved_offline | lease
"""


def read_text(text: str, directory: Path) -> list[Scene]:
    path = directory / "officer.txt"
    path.write_text(text)
    return read_scenes(path)


def test_a_wrong_line_is_told_with_its_place_and_what_the_lane_says_instead(tmp_path: Path) -> None:
    (scene,) = read_text(WRONG, tmp_path)
    found = [row for sale, told in played(scene) for row in differences(sale, told)]
    assert found == [
        "officer.txt:5: 16:40 | ann     | 812.34 => approved | 00   | approved_offline | lease",
        "  answer   expected approved             but the lane says declined",
        "  code     expected 00                   but the lane says 61",
        "  reason   expected approved_offline     but the lane says floor_limit",
        "  paid by  expected lease                but the lane says -",
    ]


MISREAD = {
    "a setting that is none": (("account ann", "acount ann"), "officer.txt:2: a setting is one of"),
    "a phrase that says nothing": (("lease 500.00", "loan 500.00"), "officer.txt:2: 'loan 500.00' is none of these"),
    "an amount without cents": (("12.34", "12"), "officer.txt:4: '12' is no amount like 128.00"),
    "a time that is none": (("16:40", "4 pm"), "officer.txt:5: '4 pm' is no time like 16:00"),
    "a sale before the last one": (("16:40", "15:40"), "officer.txt:5: a sale cannot be before the last one"),
    "a customer whom nobody set up": (("| ann     | 8", "| eve     | 8"), "officer.txt:5: nobody is called eve"),
    "a column that is none": (("| amount", "| sum"), "officer.txt:3: no column is called sum"),
    "a cell too few": (("| lease", ""), "officer.txt:4: 3 and 4 cells are wanted, here are 3 and 3"),
    "a sale that is none yet": (
        ("  16:40", "  then sale 9 is captured\n  16:40"),
        "officer.txt:5: there is no sale 9 yet",
    ),
    "no scene": (("scene a line", "# scene a line"), "officer.txt:2: there is no scene yet"),
}


@pytest.mark.parametrize("what", MISREAD)
def test_what_is_not_understood_is_named_with_its_place(what: str, tmp_path: Path) -> None:
    (old, new), told = MISREAD[what]
    with pytest.raises(Misread) as misread:
        for scene in read_text(WRONG.replace(old, new), tmp_path):
            list(played(scene))
    assert str(misread.value).startswith(told)
