"""From pydantic's findings to sentences for the person who edits the file.

The rule: a sentence names key and line, what is wrong and what would be right, and never repeats a likely password.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, get_args, get_origin
from zoneinfo import available_timezones

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from agent.errors import ConfigProblem
from drivers.printers.profiles import PROFILES

_Path = tuple[str, ...]
_Model = type[BaseModel]
_WRONG: Final = {
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "int_type": "is not a whole number",
    "string_type": "is not text in quotes",
    "bool_type": "is neither true nor false",
}


def problems(error: ValidationError, root: _Model, tree: Mapping[str, Any], text: str) -> tuple[ConfigProblem, ...]:
    """All problems of a file, in the order of its lines; `tree` is the parsed `text`, `root` the class it must fit."""
    lines = _line_index(text)
    found = [_problem(details, root, tree, lines) for details in error.errors(include_url=False)]
    return tuple(sorted(found, key=lambda problem: (problem.line or 0, problem.key)))


def section_at(root: _Model, path: _Path) -> _Model | None:
    """The class of the section at `path` (empty: the file itself), None if there is no such section."""
    if not path:
        return root
    field = root.model_fields.get(path[0])
    annotation = field.annotation if field else None
    if get_origin(annotation) is dict:
        annotation, path = get_args(annotation)[1], path[1:]
    return annotation if len(path) == 1 and isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def allowed(field: FieldInfo | None) -> str:
    """What a key accepts, in words, with its unit."""
    if field is not None and get_origin(field.annotation) is Literal:
        return " or ".join(json.dumps(value) for value in get_args(field.annotation))
    extra = field.json_schema_extra if field else None
    return str(extra["allowed"]) if isinstance(extra, dict) else "a section of its own"


def _problem(details: ErrorDetails, root: _Model, tree: Mapping[str, Any], lines: Mapping[_Path, int]) -> ConfigProblem:
    path = tuple(str(part) for part in details["loc"] if part != "[key]")
    section = section_at(root, path[:-1])
    value = _value_at(tree, path)
    wrong, right, suggestion = _wrong(details["type"], value), "", ""
    if details["type"] == "extra_forbidden":
        wrong, suggestion = "unknown key", _alike(path[-1], section.model_fields if section else ())
    elif details["type"] == "value_error" and isinstance(value, dict):  # a rule over several keys explains itself
        wrong = str(details["ctx"]["error"])
    elif details["loc"][-1] == "[key]":
        wrong, right = "not a device name", "up to 32 of a-z 0-9 _ -, a letter first"
    elif details["type"] == "too_long":
        wrong = "too many of them"
    else:
        right = allowed(section.model_fields.get(path[-1]) if section else None)
        suggestion = _alike(str(value), _names(path[-1]))
    line = next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)
    return ConfigProblem(".".join(path), line, wrong, right, suggestion)


def _names(key: str) -> Iterable[str]:
    return {"timezone": available_timezones, "profile": PROFILES.keys}.get(key, tuple)()


def _wrong(kind: str, value: object) -> str:
    may_hold_password = "@" in str(value)
    shown = json.dumps(value, ensure_ascii=False, default=str)
    shown = "this value" if may_hold_password or isinstance(value, dict | list) or len(shown) > 60 else shown
    return f"{shown} {_WRONG.get(kind, 'is not allowed')}"


def _value_at(tree: Any, path: _Path) -> Any:
    for part in path:
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _alike(word: str, candidates: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(word, list(candidates), n=1)), "")


_HEADER: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY: Final = re.compile(r"""\s*([A-Za-z0-9_."' -]+?)\s*=""")


def _line_index(text: str) -> dict[_Path, int]:
    """Line (from 1) of every section and key. tomllib tells none; text over several lines is not looked into."""
    lines: dict[_Path, int] = {}
    section: _Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = _split(header[1])
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            lines.setdefault(section + _split(key[1]), number)
    return lines


def _split(dotted: str) -> _Path:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
