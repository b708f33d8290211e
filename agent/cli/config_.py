"""`counterfoil config check|show|init`: is the file right, what is in force, a file that explains every key.

The rule: works while the agent is stopped, changes nothing, and never overwrites a file.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from agent.cli.options import DEFAULT_CONFIG


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `config`."""
    parser = subparsers.add_parser("config", help="check, show or write the configuration file")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, run, explanation in (
        ("check", check, "name every mistake of the file, with its line"),
        ("show", show, "print what is in force, defaults included"),
        ("init", init, "write a file that explains every key (without FILE: print it)"),
    ):
        action = actions.add_parser(name, help=explanation, description=explanation)
        default = None if name == "init" else DEFAULT_CONFIG
        action.add_argument(
            "file", metavar="FILE", type=Path, nargs="?", default=default, help=f"default: {default or '-'}"
        )
        action.add_argument("--config", metavar="FILE", type=Path, help="the same, as other verbs take it")
        action.add_argument("--json", action="store_true", help="print JSON")
        action.set_defaults(run=run)


def check(args: argparse.Namespace) -> int:
    """Exit code 0 if the file can be used; raises `ConfigError` with all problems otherwise."""
    from agent import config

    path = args.config or args.file
    config.load(path)
    print(json.dumps({"file": str(path), "problems": []}) if args.json else f"{path}: no problem found")
    return 0


def show(args: argparse.Namespace) -> int:
    """Print every key with its value: as JSON, or one `section.key = value` a line."""
    from agent import config

    values = config.load(args.config or args.file).to_dict()
    print(json.dumps(values, ensure_ascii=False, indent=2) if args.json else "\n".join(_lines(values, ())))
    return 0


def init(args: argparse.Namespace) -> int:
    """Write the explained file; an existing one is a fault."""
    from agent import config
    from agent.errors import ConfigError

    text = config.template()
    path: Path | None = args.config or args.file
    if path is None:
        sys.stdout.write(text)
        return 0
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} exists already and is left as it is", ()) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", ()) from None
    print(json.dumps({"file": str(path)}) if args.json else f"{path}: written; every key has its default")
    return 0


def _lines(values: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += _lines(value, (*path, key))
        else:
            lines.append(f"{'.'.join((*path, key))} = {json.dumps(value, ensure_ascii=False)}")
    return lines
