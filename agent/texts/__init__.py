"""What people read: one catalogue per language, keyed by reason id, shared by page, slip and command.

The rule: every language has the same keys and the same placeholders, and no text of a reason needs a value, so that
whoever has a reason id has its sentences. An id that is not in the catalogue still gives a sentence, never an error:
a missing text must not stop a sale.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

Language = Literal["zh-CN", "en"]
Field = Literal["cashier", "customer", "next"]
LANGUAGES: Final[tuple[Language, ...]] = ("zh-CN", "en")
UNKNOWN: Final = "unknown"


@cache
def catalogue(language: Language) -> dict[str, dict[str, Any]]:
    """The whole catalogue of a language: `reasons` (id: cashier, customer, next); all else label: text."""
    loaded: dict[str, dict[str, Any]] = json.loads(files(__name__).joinpath(f"{language}.json").read_text("utf-8"))
    return loaded


@cache
def _meanings(language: Language) -> dict[str, str]:
    """What rules may name, in a language that is not the vocabulary's own."""
    if language == "en":
        return {}
    loaded: dict[str, str] = json.loads(files(__name__).joinpath(f"meanings.{language}.json").read_text("utf-8"))
    return loaded


def meaning(language: Language, name: str, english: str) -> str:
    """What a variable or limit of a policy means; ``english`` is what the vocabulary says of it."""
    return _meanings(language).get(name, english)


def text(language: Language, key: str, field: Field, **values: object) -> str:
    """The sentence of a reason or condition for the cashier, for the customer, or what to do next.

    `key` is a reason id ("floor_limit", "pass.expired"); an unknown one gives the texts of `UNKNOWN`, with the id.
    """
    reasons = catalogue(language)["reasons"]
    sentence: str = (reasons.get(key) or reasons[UNKNOWN])[field]
    return sentence.format(**{"key": key, **values})


def slip(language: Language, label: str) -> str:
    """A label of the slip; raises KeyError for a label that does not exist."""
    sentence: str = catalogue(language)["slip"][label]
    return sentence


def day_label(language: Language, label: str, **values: object) -> str:
    """A label of the day's report, with its values; raises KeyError for a label that does not exist."""
    sentence: str = catalogue(language)["day"][label]
    return sentence.format(**values)


def shift_label(language: Language, label: str, **values: object) -> str:
    """A label of a shift's report, with its values; raises KeyError for a label that does not exist."""
    sentence: str = catalogue(language)["shift"][label]
    return sentence.format(**values)


def displayed(language: Language, state: str) -> str:
    """The word for a sale's state on a line display of 20 columns; raises KeyError for a state that has none."""
    sentence: str = catalogue(language)["display"][state]
    return sentence


def statement_label(language: Language, label: str, **values: object) -> str:
    """A label of an all-in-cost statement, with its values; raises KeyError for a label that does not exist."""
    sentence: str = catalogue(language)["statement"][label]
    return sentence.format(**values)


def explaining(language: Language, label: str, **values: object) -> str:
    """A line of an explained sale, with its values; raises KeyError for a label that does not exist."""
    sentence: str = catalogue(language)["explain"][label]
    return sentence.format(**values)
