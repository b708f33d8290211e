"""Texts for people: complete in every language, readable in one glance, there for every reason the lane gives."""

import ast
import json
import string
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from agent import texts
from agent.core.credit_pass import Reason
from agent.core.decision import Funding
from agent.core.default_policy import default_policy
from agent.core.explanation import ALWAYS, Said
from agent.core.journal import BODIES, Kind
from agent.core.money import Money
from agent.core.policy_rules import Effect
from agent.core.receipt import DECLINED, OCCASIONS
from agent.core.sale_story import Replay
from agent.core.trusted_time import ClockSource
from agent.services.health import LIMIT_RULES, RULES
from agent.services.shown_codes import ShownCode
from agent.services.slips import code_slip, sale_slip
from drivers.document import to_text
from tests.drivers.rendering.slips import receipt

LABELS = ("slip", "day", "display", "statement", "explain", "page", "shift", "training")
"""Sections that are a label and its text."""
FIELDS: tuple[texts.Field, ...] = ("cashier", "customer", "next")
REASONS = texts.catalogue("en")["reasons"]
CORE = Path(texts.__file__).parents[1] / "core"
DECLINES = [
    "slip_waits",
    "slip_none",
    "shift_open",
    "shift_none",
    "floor_limit",
    "account_cumulative",
    "lane_cumulative",
    "account_blocked",
    "snapshot_age",
    "step_up",
    "lease_exceeded",
    "lease_lapsed",
    "no_record",
    "cap_exceeded",
    "clock_untrusted",
    "policy_expired",
    "snapshot_missing",
    "ledger_unavailable",
    "backend_declined",
    "limit_exceeded",
    "wallet_online_only",
    "wallet_not_served",
    "wallet_declined",
    "wallet_unreachable",
    "wallet_unanswered",
    "wallet_abandoned",
    "code_shown",
    "code_online_only",
    "code_unset",
    "code_unreachable",
    "code_unanswered",
    "code_expired",
    "code_abandoned",
    "not_a_pass",
    "interrupted",
    "approved",
    "approved_offline",
]
# What fits on one line of the page at the size that is read from two metres.
CHARACTERS_MAX = {"zh-CN": 20, "en": 56}


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_every_language_has_the_same_keys_and_placeholders(language: texts.Language) -> None:
    other, reference = texts.catalogue(language), texts.catalogue("en")
    assert other.keys() == reference.keys() == {"reasons", *LABELS}
    assert other["reasons"].keys() == reference["reasons"].keys()
    assert other["slip"].keys() == reference["slip"].keys()
    for key, sentences in other["reasons"].items():
        assert tuple(sentences) == FIELDS, key
        for field in FIELDS:
            assert placeholders(sentences[field]) == placeholders(reference["reasons"][key][field]), key
    for section in LABELS:
        assert other[section].keys() == reference[section].keys()
        for label, sentence in other[section].items():
            assert placeholders(sentence) == placeholders(reference[section][label]), label


def test_an_explained_sale_has_words_for_whatever_may_have_happened_and_no_others() -> None:
    kinds = {
        "said": get_args(Said),
        "because": get_args(Said),
        "effect": (*get_args(Effect), ALWAYS),
        "replay": get_args(Replay),
        "clock": (*get_args(ClockSource), "offset"),
        "funding": (*get_args(Funding), "backend"),
    }
    labels = texts.catalogue("en")["explain"].keys()
    for kind, values in kinds.items():
        assert {label for label in labels if label.startswith(f"{kind}_")} == {f"{kind}_{value}" for value in values}


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_no_key_is_written_twice(language: texts.Language) -> None:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    path = Path(texts.__file__).parent / f"{language}.json"
    assert json.loads(path.read_text(), object_pairs_hook=unique)


@pytest.mark.parametrize("language", texts.LANGUAGES)
@pytest.mark.parametrize("key", REASONS)
def test_every_sentence_is_there_without_a_value_and_short_enough_for_a_glance(
    language: texts.Language, key: str
) -> None:
    for field in FIELDS:
        sentence = texts.text(language, key, field)
        assert sentence.strip() == sentence
        assert 2 <= len(sentence) <= CHARACTERS_MAX[language]
        assert "{" not in sentence


@pytest.mark.parametrize("key", REASONS)
def test_chinese_texts_are_chinese_and_english_ones_are_not(key: str) -> None:
    for field in FIELDS:
        assert any("\u4e00" <= letter <= "\u9fff" for letter in texts.text("zh-CN", key, field))
        assert texts.text("en", key, field).replace("…", "").isascii()


@pytest.mark.parametrize("key", DECLINES)
def test_every_decision_has_its_text(key: str) -> None:
    assert key in REASONS


def test_every_reason_to_refuse_a_pass_has_its_text_and_no_text_is_left_over() -> None:
    assert {key for key in REASONS if key.startswith("pass.")} == {f"pass.{reason}" for reason in Reason}


def test_every_reason_of_the_default_policy_has_its_text() -> None:
    policy = default_policy("lender", version=1, issued_at=0, expires_at=1)
    assert {rule["reason"] for rule in policy["rules"]} <= REASONS.keys()


def test_every_reason_that_the_decision_table_names_has_its_text() -> None:
    tables = [
        node
        for node in ast.walk(ast.parse((CORE / "decision.py").read_text()))
        if isinstance(node, ast.Dict)
        and any(isinstance(k, ast.Constant) and k.value == "clock_untrusted" for k in node.keys)
    ]
    assert tables
    assert {key.value for table in tables for key in table.keys if isinstance(key, ast.Constant)} <= REASONS.keys()


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_an_unknown_reason_still_gives_a_sentence_with_its_id(language: texts.Language) -> None:
    assert "brand_new" in texts.text(language, "brand_new", "cashier")
    assert texts.text(language, "brand_new", "next")


def test_a_hostile_reason_id_is_only_text() -> None:
    assert texts.text("en", "{key.__class__}", "cashier") == "Not approved ({key.__class__})"


@pytest.mark.parametrize("code", [rule.code for rule in (*LIMIT_RULES, *RULES)])
def test_every_condition_of_a_lane_has_its_text(code: str) -> None:
    assert code in REASONS


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_only_what_a_lease_pays_is_called_guaranteed(language: texts.Language) -> None:
    """An approval under the pass's own cap is the lender's risk: the slip must not promise what nobody has leased."""
    promise = texts.slip(language, "offline_guaranteed")
    slip = receipt("m", "s", "l")
    assert promise in to_text(sale_slip(replace(slip, is_guaranteed=True), language), 48)
    assert promise not in to_text(sale_slip(replace(slip, is_guaranteed=False), language), 48)


OTHER = [{"is_signed": True}, {"occasion": DECLINED, "reason": "limit_exceeded"}]
LATER = [{"occasion": occasion, "sold": Money(5000, "CNY"), "sold_at": "lane-02"} for occasion in OCCASIONS.values()]


NOW = ({"is_online": True}, {"is_guaranteed": True}, {"is_guaranteed": False}, {"account": ""})
OF_PLANS = ({"is_held": True}, {"plan_left_minor": 2500}, {"plan_left_minor": 0})


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_every_kind_of_entry_of_a_sale_has_its_words(language: texts.Language) -> None:
    of_sales = [kind for kind, body in BODIES.items() if "amount_minor" in body or kind == Kind.PRINT]
    assert [kind for kind in of_sales if f"kind_{kind}" not in texts.catalogue(language)["explain"]] == []


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_every_label_stands_on_some_slip(language: texts.Language) -> None:
    printed = "".join(
        to_text(sale_slip(replace(receipt("m", "s", "l"), **mode), language), 48)
        for mode in (*NOW, *OTHER, *LATER, *OF_PLANS)
    )
    code, seller = ShownCode("000201", "demo", Money(5000, "CNY"), 120), receipt("m", "s", "l").seller
    printed += to_text(code_slip(code, seller, "Demo", "12:00", language), 48)
    labels = texts.catalogue(language)["slip"].values()
    assert [label for label in labels if label not in printed] == []
