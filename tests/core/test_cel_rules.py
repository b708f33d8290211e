"""What CEL accepts in silence is refused when a rule is installed; what fails later counts as fired."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.cel_rules import RuleError, Variable, compile_rule, evaluate_all

NAMES = {
    "amount_minor": Variable(0, 2**53 - 1, "an amount"),
    "count": Variable(0, 1000, "a count"),
    "verified": Variable(False, True, "a fact"),
    "category": Variable("", "9999", "a code"),
}
SITUATION = {"amount_minor": 500, "count": 2, "verified": True, "category": "5411"}


def outcome(source: str, **changes: int | bool | str) -> str:
    (result,) = evaluate_all([compile_rule("r", source, NAMES)], SITUATION | changes)
    return result


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("amount_minor >= 500", "fired"),
        ("amount_minor > 500", "quiet"),
        ("count + 1 > 2 && !(verified == false)", "fired"),
        ("category == '5411' || category == \"5812\"", "fired"),
        ("category.startsWith('54') ? amount_minor > 400 : verified", "fired"),
        ("size(category) != 4", "quiet"),
        ("category.endsWith('1') && category.contains('41')", "fired"),
        ("amount_minor % 100 == 0\n  && -count < 0", "fired"),
        ("amount_minor * 100 / 3 >= 16666", "fired"),
    ],
)
def test_a_sound_rule_says_fired_or_quiet(source: str, expected: str) -> None:
    assert outcome(source) == expected


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("amonut_minor > 5", "unknown name 'amonut_minor'"),
        ("amount_minor > 5 || nobody", "unknown name 'nobody'"),
        ("matches(category, '5')", "unknown name 'matches'"),
        ("category.matches('5')", "unknown function 'matches'"),
        ("category.size > 1", "types do not fit"),
        ("amount_minor.value > 1", "unknown function 'value'"),
        ("has(category.x)", "unknown name 'has'"),
        ("[1, 2].exists(x, x > count)", "not allowed in a rule: '["),
        ("count in [1, 2]", "not allowed in a rule: '[1, 2]' (character 10)"),
        ("category in category", "unknown name 'in'"),
        ("category[0] == '5'", "(character 9)"),
        ("{'a': count}.a > 1", "(character 1)"),
        ("count > 1.5", "not allowed in a rule: '1.5"),
        ("count > 1e3", "not allowed in a rule: '1e3"),
        ("count > .5", "unknown function '5'"),
        ("count > 1u", "not allowed in a rule: '1u"),
        ("count > 0x10", "not allowed in a rule: '0x10"),
        ("double(count) > 1", "unknown name 'double'"),
        ("int(category) > 1", "unknown name 'int'"),
        ("count == null", "unknown name 'null'"),
        ("category == r'5'", "unknown name 'r'"),
        ("category == '\\x35'", "not allowed in a rule"),
        ("count > 1 // sure", "not allowed in a rule: '//"),
        ("count; verified", "not allowed in a rule: ';"),
        ("数 > 1", "not allowed in a rule: '数"),
        ("count", "must be true or false, but gives int"),
        ("category", "must be true or false, but gives str"),
        ("true", "1 to 8 variables"),
        ("amount_minor > verified", "types do not fit"),
        ("verified && count", "types do not fit"),
        ("verified ? count : verified", "must be true or false"),
        ("category == 5411", "types do not fit"),
        ("category != 5411", "types do not fit"),
        ("count == verified", "types do not fit"),
        ("verified && category == 5411", "types do not fit"),
        ("count == 3 || category == 5411", "types do not fit"),
        ("count == -5 && category == 5411", "types do not fit"),
        ("count(1) > 1", "functions not allowed: count"),
        ("count >", "cannot be read"),
        ("", "cannot be read"),
        ("verified || " * 60 + "verified", "at most 500 characters"),
        ("(" * 21 + "verified" + ")" * 21, "more than 20 parentheses"),
    ],
)
def test_a_rule_that_would_mislead_is_refused_when_it_is_installed(source: str, complaint: str) -> None:
    with pytest.raises(RuleError) as refused:
        compile_rule("bad-rule", source, NAMES)
    assert refused.value.rule_id == "bad-rule"
    assert complaint in refused.value.fault
    assert "\n" not in str(refused.value)


def test_a_rule_uses_at_most_eight_variables() -> None:
    names = {f"v{i}": Variable(0, 1, "") for i in range(9)}
    compile_rule("r", " + ".join(list(names)[:8]) + " > 3", names)
    with pytest.raises(RuleError, match="1 to 8 variables"):
        compile_rule("r", " + ".join(names) + " + 0 > 3", names)


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("amount_minor / count > 3", {"count": 0}),
        ("amount_minor % count == 3", {"count": 0}),
        ("amount_minor * amount_minor > 3", {"amount_minor": 2**53 - 1}),
        ("amount_minor + 9223372036854775807 > 3", {}),
    ],
)
def test_arithmetic_that_fails_at_the_counter_is_an_error_not_a_no(source: str, changes: dict[str, int]) -> None:
    assert outcome(source, **changes) == "error"


def test_a_value_of_the_wrong_type_is_an_error_not_a_crash() -> None:
    assert outcome("verified && count > 1", verified=5) == "error"
    assert outcome("verified", verified=5) == "error"
    assert outcome("category.startsWith('5')", category=5) == "error"


@given(st.text(alphabet="acount verified_minorgy.()!=<>&|?:+-*/%0123456789'\"", max_size=60))
def test_any_text_is_a_rule_or_a_rule_error(source: str) -> None:
    try:
        compiled = compile_rule("r", source, NAMES)
    except RuleError:
        return
    assert set(compiled.variables) <= NAMES.keys()
    assert next(iter(evaluate_all([compiled], SITUATION))) in {"fired", "quiet", "error"}


def test_the_engine_is_loaded_without_its_command_line() -> None:
    probe = "import agent.core.cel_rules, sys; import cel.cel; print(sorted(m for m in sys.modules if m[:4] == 'cel.'))"
    light = probe.replace("import cel.cel; ", "")
    run = subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['cel.cel']"
    # A later plain import in the same process finds the engine that is already there.
    subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
