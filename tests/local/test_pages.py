"""The pages as files: small, whole, without a word or a script from anywhere else. How they behave: tests/page."""

import re

import pytest

from agent import texts
from agent.core.settlement import NAMES, PLAN_PREFIX
from agent.local.pages import FILES, HEADERS, lean
from agent.services.views import SHOWN_STATES
from tests.local.served import ServedLane
from tests.services.lanes import Till

PAGE_BYTES_MAX = 150_000
TRAINING_BYTES_MAX = 10_000
IN_TRAINING = {name for name in FILES if name.startswith("training.")}
"""Loaded by a training counter's pages besides; no other page names one of them."""
SOURCES = {name: body.decode() for name, (_, body) in FILES.items() if not name.endswith(".json")}
SCRIPTS = {name: text for name, text in SOURCES.items() if name.endswith(".js")}
# Keys that are put together from a table: what stands before the part that varies.
TABLES = (
    "state_",
    "deed_",
    "confirm_",
    "total_",
    "day_",
    "drawer_",
    "fact_",
    "language_",
    "plan_",
    "amount_",
    "ready_",
    "waiting_",
    "lost_",
)


@pytest.mark.parametrize("page", ["cashier", "customer"])
def test_a_page_with_all_that_it_loads_is_light(page: str) -> None:
    others = {f"{page}.html", *IN_TRAINING}
    assert sum(len(body) for name, (_, body) in FILES.items() if name not in others) < PAGE_BYTES_MAX


def test_what_only_a_training_counter_loads_is_light_too() -> None:
    assert sum(len(FILES[name][1]) for name in IN_TRAINING) < TRAINING_BYTES_MAX


def test_what_is_served_is_the_code_without_what_is_said_of_it() -> None:
    source = "/**\n * Why.\n */\nf = (a) => {\n  // because\n  g(a); // here\n};\n* { color: red; } /* red */\n"
    assert lean(source) == "f = (a) => {\ng(a); // here\n};\n* { color: red; } /* red */\n"
    assert not [name for name, text in SOURCES.items() if re.search(r"(?m)^(?:\s|//|/\*)", text)]


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(name: str) -> None:
    text = SOURCES[name].replace("http://www.w3.org/2000/svg", "")
    assert "://" not in text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style| style=|\son\w+=\"", text)
    assert not re.search(r"innerHTML\s*=[^=]|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)


@pytest.mark.parametrize("name", SOURCES)
def test_every_file_that_is_named_is_there(name: str) -> None:
    named = re.findall(r"\"/page/([a-z.]+)\"", SOURCES[name])
    assert [each for each in named if each not in FILES] == []


def test_the_pages_say_only_what_the_catalogue_has_and_leave_nothing_of_it_unsaid() -> None:
    script, labels = "".join(SCRIPTS.values()), set(texts.catalogue("en")["page"])
    said = set(re.findall(r"\bt\(\"(\w+)\"", script))
    assert said <= labels
    literal = set(re.findall(r"\"([\w-]+)\"", script))
    assert {label for label in labels - said - literal if not label.startswith(TABLES)} == set()


def test_every_state_of_a_sale_has_its_look() -> None:
    looks = set(re.findall(r"^(\w+): \[\"", SCRIPTS["states.js"], re.MULTILINE))
    assert set(SHOWN_STATES.values()) | {"waiting", "choosing", "unknown"} <= looks
    assert {f"state_{look}" for look in looks} <= texts.catalogue("zh-CN")["page"].keys()


def test_every_total_of_a_day_has_its_words_those_of_a_plan_too() -> None:
    labels = {label for label in texts.catalogue("en")["page"] if label.startswith("total_")}
    assert labels == {f"total_{name}" for name in NAMES} | {"total_plan"}
    assert f'"{PLAN_PREFIX}"' in SCRIPTS["day.js"]


def test_pages_are_served_with_a_policy_that_lets_them_load_nothing_but_their_own_files(till: Till) -> None:
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in HEADERS["Content-Security-Policy"]
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    served = ServedLane(till)

    def story(_client: object) -> None:
        assert served.raw("GET", "/")[:2] == (200, "text/html; charset=utf-8")
        assert served.raw("GET", "/customer")[0] == served.raw("GET", "/page/cashier.js")[0] == 200
        assert served.raw("GET", "/page/..%2fpages.py")[0] == served.raw("GET", "/page/none.js")[0] == 404

    served.tell(story)
