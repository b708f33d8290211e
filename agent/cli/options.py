"""Options that several verbs share. The one rule: a verb finds the lane by one file, and nothing else."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import CounterfoilError

if TYPE_CHECKING:
    from agent.config import Config
    from agent.local.client import LocalClient

DEFAULT_CONFIG = Path("/etc/counterfoil/agent.toml")


class PinMissing(CounterfoilError):
    """A PIN is asked for, and there is nobody to type it, or no terminal that can hide it."""

    code = "pin_missing"
    hint = "Type it at a terminal, or give it on standard input with `--pin-stdin`: nothing was changed."


def add_config(parser: argparse.ArgumentParser) -> None:
    text = f"configuration file (default: {DEFAULT_CONFIG})"
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help=text)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON value")


def add_printing(parser: argparse.ArgumentParser, *, again: str) -> None:
    """Whether a report goes to paper: when it is new, unless the command says otherwise."""
    printing = parser.add_mutually_exclusive_group()
    printing.add_argument("--print", action="store_true", help=f"print the report {again}")
    printing.add_argument("--no-print", action="store_true", help="print no report")


def paper_of(args: argparse.Namespace) -> str | None:
    """Field ``print`` of the call."""
    return None if args.no_print else "always" if args.print else "once"


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


def add_address(parser: argparse.ArgumentParser) -> None:
    """For a computer that is no lane, and for a device that no lane has yet."""
    parser.add_argument(
        "--address", metavar="ADDRESS", help="a device by itself, as `devices list` shows it; no FILE is read"
    )
    text = "a setting of its section in FILE, such as suffix=tab, profile=generic-58 (with --address)"
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help=text)


def device_alone(args: argparse.Namespace, section: str) -> Config:
    """A configuration that has that device and nothing else. Raises ConfigError."""
    from agent.config import parse

    settings = {"address": args.address} | dict(map(setting, args.option))
    lines = [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    return parse("\n".join(lines), name="--address, --option")


def setting(text: str) -> tuple[str, Any]:
    """KEY=VALUE, where the value is a whole number, true, false or text."""
    key, _, value = text.partition("=")
    return key, int(value) if value.isdecimal() else {"true": True, "false": False}.get(value, value)


def load_config(args: argparse.Namespace) -> Config:
    """The configuration that the verb was given. Raises ConfigError."""
    from agent.config import load

    return load(args.config)


def client(args: argparse.Namespace) -> LocalClient:
    """The running agent of this lane. Raises ConfigError."""
    from agent.local.client import LocalClient

    config = load_config(args)
    return LocalClient(config.agent_socket)


def add_operator(parser: argparse.ArgumentParser) -> None:
    """For what an operator answers for, where the lane has operators."""
    text = "who answers for it, at a lane with operators; the PIN is asked for"
    parser.add_argument("--operator", dest="signs_in", metavar="NAME", help=text)
    parser.add_argument("--pin-stdin", action="store_true", help="read the PIN from standard input")


@contextlib.contextmanager
def acting(args: argparse.Namespace) -> Iterator[LocalClient]:
    """The running agent, for as long as the operator of the command line is signed in, if it names one. Raises
    ConfigError; RequestRefused with what to type when somebody has to sign in."""
    from agent.local.client import RequestRefused

    agent = client(args)
    try:
        if args.signs_in is None:
            yield agent
            return
        with agent.signed_in(args.signs_in, asked_pin(args)) as agent:
            yield agent
    except RequestRefused as refused:
        if refused.problem.get("title") in ("operator_required", "role_required"):
            hint = "Add `--operator NAME` for somebody who may: `counterfoil operator list` names them."
            raise RequestRefused({**refused.problem, "hint": hint}) from refused
        raise


def asked_pin(args: argparse.Namespace) -> str:
    """A PIN as it was typed: never an argument, so that no shell remembers it. Raises PinMissing."""
    return sys.stdin.readline().strip() if args.pin_stdin else typed_pin("PIN: ")


def typed_pin(prompt: str) -> str:
    """Never where the screen would show it. Raises PinMissing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(prompt)
        except (EOFError, getpass.GetPassWarning):
            raise PinMissing("No PIN was typed.") from None


def remedy(reason: str, told: str | None) -> str:
    """What to do about a device, in the language of this command; the agent has ``told`` it in that of the lane."""
    from drivers.remedies import REMEDIES

    return REMEDIES[reason].en if reason in REMEDIES else told or ""


def show(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))
