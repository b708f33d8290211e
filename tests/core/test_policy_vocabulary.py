"""The vocabulary holds no limit that a lender signs in vain: each is read by the product or by a rule."""

import ast
import re
from pathlib import Path

import pytest

from agent.core.default_policy import RULES
from agent.core.policy_vocabulary import LIMITS

ROOT = Path(__file__).parents[2]


def read_by_the_product() -> set[str]:
    """Every name that product code reads from a policy's limits; the settings have limits of their own."""
    paths = [*(ROOT / "agent").rglob("*.py"), *(ROOT / "backend").glob("*.py")]
    product = [path for path in paths if not {"simulation", "bench"} & set(path.parts)]
    reads = [
        node for path in product for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
    ]
    owners = [(ast.unparse(node.value).split("."), node.attr) for node in reads]
    return {name for owner, name in owners if owner[-1] == "limits" and owner[0] != "config"}


READ = read_by_the_product() | {name for rule in RULES for name in re.findall(r"\w+", rule["when"])}


@pytest.mark.parametrize("name", LIMITS)
def test_a_signed_limit_bounds_something(name: str) -> None:
    assert name in READ, f"{name} is signed and nobody reads it"
