"""Options that several verbs share. The one rule: a verb finds the lane by one file, and nothing else."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.config import Config
    from agent.local.client import LocalClient

DEFAULT_CONFIG = Path("/etc/counterfoil/agent.toml")


def add_config(parser: argparse.ArgumentParser) -> None:
    text = f"configuration file (default: {DEFAULT_CONFIG})"
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help=text)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON value")


def add_action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    explanation: str,
) -> argparse.ArgumentParser:
    """One of several actions of a verb that works on files alone, without the running agent."""
    action = actions.add_parser(name, help=explanation, description=explanation)
    action.add_argument("--json", action="store_true", help="print JSON")
    action.set_defaults(run=run)
    return action


def load_config(args: argparse.Namespace) -> Config:
    """The configuration that the verb was given. Raises ConfigError."""
    from agent.config import load

    return load(args.config)


def client(args: argparse.Namespace) -> LocalClient:
    """The running agent of this lane. Raises ConfigError."""
    from agent.local.client import LocalClient

    config = load_config(args)
    return LocalClient(config.agent_socket)


def remedy(reason: str, told: str | None) -> str:
    """What to do about a device, in the language of this command; the agent has ``told`` it in that of the lane."""
    from drivers.remedies import REMEDIES

    return REMEDIES[reason].en if reason in REMEDIES else told or ""


def show(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))
