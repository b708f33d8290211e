"""The one wrapper around CEL (Common Expression Language): compile, check and evaluate the conditions of rules.

The one rule: what the engine would accept in silence (unknown names, mixed types, macros that explode, doubles) is
refused when a policy is built or installed, and whatever still fails at the counter counts as fired.

The grammar is a closed part of CEL: names from a flat table, whole numbers, plain strings, the operators below, and
four string functions. References: cel-spec, "Language Definition", sections Syntax and Standard Definitions.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import util
from importlib.machinery import PathFinder
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cel.cel import Context, Program

SOURCE_CHARS_MAX = 500
VARIABLES_MAX = 8  # in one rule; the type check tries both ends of each, so 2^8 evaluations
NESTING_MAX = 20

Value = int | bool | str
Outcome = Literal["fired", "quiet", "error"]


class RuleError(ValueError):
    """A rule that must not be installed: names the rule and what is wrong. The only exception of this module."""

    def __init__(self, rule_id: str, fault: str) -> None:
        super().__init__(f"rule {rule_id}: {fault}")
        self.rule_id = rule_id
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Variable:
    """One name that a rule may use: its least and greatest value (which also give its type) and its meaning."""

    low: Value
    high: Value
    meaning: str

    @property
    def kind(self) -> str:
        """int, bool or str."""
        return type(self.low).__name__


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A checked condition, ready to run."""

    rule_id: str
    variables: tuple[str, ...]
    _program: "Program" = field(repr=False)

    def evaluate(self, context: "Context") -> Outcome:
        """Fired or quiet; error for all that goes wrong while running (after the checks: overflow, zero division)."""
        result = _run(self._program, context)
        if result is True:
            return "fired"
        return "quiet" if result is False else "error"


def compile_rule(rule_id: str, source: str, variables: Mapping[str, Variable]) -> CompiledRule:
    """Compile `source` (at most 500 characters) over the documented variables. Raises RuleError."""
    try:
        _check_words(source, variables)
        program = _compile(source)
        _check_references(program, variables)
        used = tuple(program.variables())
        _check_types(source, used, variables)
    except _Fault as fault:
        raise RuleError(rule_id, str(fault)) from None
    return CompiledRule(rule_id, used, program)


def evaluate_all(rules: Sequence[CompiledRule], values: Mapping[str, Value]) -> Iterator[Outcome]:
    """The outcome of each rule over one situation; the context is prepared once and holds only what the rules name."""
    names = {name for rule in rules for name in rule.variables}
    context = _cel.Context({name: values[name] for name in names})
    return (rule.evaluate(context) for rule in rules)


class _Fault(Exception):
    """What is wrong, before it is known in which rule."""


_METHODS = frozenset({"size", "startsWith", "endsWith", "contains"})
_OPERATORS = frozenset(
    {"_&&_", "_||_", "!_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"}
    | {"_+_", "_-_", "_*_", "_/_", "_%_", "-_"}
)
_CONSTANTS = frozenset({"true", "false"})

# Doubles, unsigned and hexadecimal numbers, escapes, brackets and braces match nothing here, so they are refused.
_WORD = re.compile(
    r"""\s* (?: (?P<name> [A-Za-z_][A-Za-z0-9_]* )
              | (?P<number> [0-9]+ (?![A-Za-z0-9_.]) )
              | (?P<text> "[^"\\\r\n]*" | '[^'\\\r\n]*' )
              | (?P<sign> && | \|\| | [=!<>]= | [-+*%<>!?:(),.] | / (?!/) ) ) \s*""",
    re.VERBOSE | re.ASCII,
)


def _words(source: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(source):
        match = _WORD.match(source, at)
        if match is None:
            raise _Fault(f"not allowed in a rule: {source[at : at + 12].strip()!r} (character {at + 1})")
        yield match.lastgroup or "", match[match.lastgroup or 0]
        at = match.end()


def _check_words(source: str, variables: Mapping[str, Variable]) -> None:
    """Refuse by the text what the engine's own references do not show: literals, indexing, fields, macros."""
    if not isinstance(source, str) or len(source) > SOURCE_CHARS_MAX:
        raise _Fault(f"a condition is a text of at most {SOURCE_CHARS_MAX} characters")
    words = [("start", ""), *_words(source), ("end", "")]
    for (_, before), (kind, word) in pairwise(words):
        if before == "." and word not in _METHODS:
            raise _Fault(f"unknown function {word!r} after the dot; known: {', '.join(sorted(_METHODS))}")
        if kind == "name" and word not in _CONSTANTS | variables.keys() | _METHODS:
            raise _Fault(f"unknown name {word!r}")
    depth = 0
    for kind, word in words:
        depth += (kind == "sign") * ((word == "(") - (word == ")"))
        if depth > NESTING_MAX:
            raise _Fault(f"more than {NESTING_MAX} parentheses inside each other")


def _compile(source: str) -> "Program":
    try:
        program: Program = _cel.compile(source)
        return program
    except Exception as error:  # the engine's parser states no exception type; its message spans many lines
        raise _Fault(f"cannot be read: {' '.join(str(error).split())[:200]}") from None


def _check_references(program: "Program", variables: Mapping[str, Variable]) -> None:
    """The engine's own view of the same rule: nothing outside the table and the allow-list, and not too much."""
    used = program.variables()
    if unknown := sorted(set(used) - variables.keys()):
        raise _Fault(f"unknown variables: {', '.join(unknown)}")
    if unknown := sorted(set(program.functions()) - _OPERATORS - _METHODS):
        raise _Fault(f"functions not allowed: {', '.join(unknown)}")
    if not 1 <= len(used) <= VARIABLES_MAX:
        raise _Fault(f"a condition uses 1 to {VARIABLES_MAX} variables, this one {len(used)}")


def _check_types(source: str, used: tuple[str, ...], variables: Mapping[str, Variable]) -> None:
    """Run the rule over both ends of each variable; every result must be a bool or an arithmetic error.

    CEL answers `"5411" == 5411` with false, so such a rule would sleep for ever. An ordering refuses mixed types,
    therefore each == and != is also tried as <= and as >=; both, so that neither end of a range hides what follows.
    """
    twins = (source, re.sub("[=!]=", "<=", source), re.sub("[=!]=", ">=", source))
    for twin in dict.fromkeys(twins):
        _check_results(_compile(twin), used, variables)


def _check_results(program: "Program", used: tuple[str, ...], variables: Mapping[str, Variable]) -> None:
    for ends in product(*((variables[name].low, variables[name].high) for name in used)):
        result = _run(program, _cel.Context(dict(zip(used, ends, strict=True))))
        if isinstance(result, bool | ArithmeticError):
            continue
        if isinstance(result, Exception):
            raise _Fault(f"types do not fit: {' '.join(str(result).split())[:120]}")
        raise _Fault(f"must be true or false, but gives {type(result).__name__}")


def _run(program: "Program", context: "Context") -> Any:
    """The result, or the exception as a value. The one place that maps the engine's run-time errors: RuntimeError,
    KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError (measured; it documents none)."""
    try:
        return program.execute(context)
    except Exception as error:
        return error


def _load() -> Any:
    """The extension module alone: the package around it imports a command line of 24 MiB and 0.8 s."""
    if loaded := sys.modules.get("cel.cel"):
        return loaded
    package = PathFinder.find_spec("cel")
    found = PathFinder.find_spec("cel.cel", package.submodule_search_locations) if package else None
    if found is None or found.loader is None:
        raise ImportError("the package common-expression-language is not installed")
    module = util.module_from_spec(found)
    found.loader.exec_module(module)
    sys.modules["cel.cel"] = module  # the extension cannot be loaded twice into one process
    return module


_cel = _load()
