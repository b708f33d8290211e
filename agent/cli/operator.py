"""`counterfoil operator`: who may sign in at this lane for what is sensitive.

The rule: it works on the lane's file of operators, with the agent running or stopped; a PIN is asked for, never an
argument, so that no shell remembers it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from agent.cli.options import add_config, add_json, asked_pin, load_config, show, typed_pin
from agent.core.operators import Operator, Role, is_name, is_pin
from agent.errors import OperatorUnusable


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("operator", help="who may sign in for what is sensitive: voids, refunds, the drawer")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for name, run, explanation in (
        ("add", _add, "a new operator; the PIN is asked for"),
        ("list", _list, "who there is, and who is locked"),
        ("remove", _remove, "end an operator and its sessions"),
        ("reset", _reset, "a new PIN, which also ends a lock"),
    ):
        verb = verbs.add_parser(name, help=explanation, description=explanation)
        add_config(verb)
        add_json(verb)
        if name != "list":
            verb.add_argument("operator", help="a number or a short name, nobody's own name")
        if name == "add":
            verb.add_argument("--role", choices=[str(role) for role in Role], default=str(Role.CASHIER))
        if name in ("add", "reset"):
            verb.add_argument("--pin-stdin", action="store_true", help="read the PIN from standard input")
        verb.set_defaults(run=run)


def _add(args: argparse.Namespace) -> int:
    """Raises ConfigError, OperatorUnusable, OperatorsUnreadable."""
    if not is_name(args.operator):
        raise OperatorUnusable("An operator is named by up to 16 of a-z 0-9 . _ -, such as 12 or till-2.")

    def added(known: Operator | None, pin_hash: str) -> Operator:
        if known is not None:
            raise OperatorUnusable(f"There is an operator {args.operator} already.")
        return Operator(args.operator, Role(args.role), pin_hash)

    return _changed(args, lambda book: _with_pin(args, book, added), "is an operator now")


def _reset(args: argparse.Namespace) -> int:
    def renewed(known: Operator | None, pin_hash: str) -> Operator:
        return replace(_there(known, args.operator), pin_hash=pin_hash).recognised()

    return _changed(args, lambda book: _with_pin(args, book, renewed), "has a new PIN")


def _remove(args: argparse.Namespace) -> int:
    def gone(known: Operator | None) -> None:
        _there(known, args.operator)

    return _changed(args, lambda book: book.change(args.operator, gone), "is no operator any more")


def _list(args: argparse.Namespace) -> int:
    operators = _in_book(args, lambda book: list(book.all().values()))
    if args.json:
        show([{"operator": row.name, "role": str(row.role), "failures": row.failures} for row in operators])
        return 0
    for row in operators:
        print(f"{row.name:<16} {row.role}{'  wrong PINs: ' + str(row.failures) if row.failures else ''}")
    if not operators:
        print("No operators: at this lane nobody needs to sign in. Add a supervisor first.")
    return 0


def _changed(args: argparse.Namespace, change: Any, said: str) -> int:
    _in_book(args, change)
    if args.json:
        show({"operator": args.operator})
    else:
        print(f"{args.operator} {said}.")
    return 0


def _in_book(args: argparse.Namespace, use: Any) -> Any:
    from agent.app import open_operators

    with open_operators(load_config(args)) as book:
        return use(book)


def _with_pin(args: argparse.Namespace, book: Any, become: Any) -> None:
    pin_hash = book.hashed(_pin(args))
    book.change(args.operator, lambda known: become(known, pin_hash))


def _pin(args: argparse.Namespace) -> str:
    pin = asked_pin(args)
    if not args.pin_stdin and typed_pin("Once more: ") != pin:
        raise OperatorUnusable("The two PINs differ.")
    if not is_pin(pin):
        raise OperatorUnusable("A PIN has 4 to 12 digits, and not one digit alone.")
    return pin


def _there(known: Operator | None, name: str) -> Operator:
    if known is None:
        raise OperatorUnusable(f"There is no operator {name}.")
    return known
