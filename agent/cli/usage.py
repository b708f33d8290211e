"""Wrong usage, told where it is wrong: by the verb, or the verb of a verb, that was meant.

The one rule: whoever mistypes reads what can be typed there, and last, what is wrong with what was.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An argparse parser; those of its verbs are of the same class, so that each speaks for itself."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Nothing is left over for the parser above, which would show its own usage instead."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"not understood: {' '.join(rest)}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        """A parser with verbs lists them, with a line each; any other its usage. Ends with exit code 2."""
        told = self.format_help() if self._subparsers is not None else self.format_usage()
        print(told, file=sys.stderr)
        self.exit(2, f"{self.prog}: {message}\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, _unknown(value, [str(each) for each in action.choices]))


def _unknown(value: Any, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(value), choices, n=1)
    return f"there is no {value!r}" + (f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(choices)}")
