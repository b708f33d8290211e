"""`counterfoil bench`: what each step of a sale costs on this machine, beside its limit or rival of the same run."""

import argparse
from typing import Any


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("bench", help="measure this machine: each figure beside its limit or rival")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; figures are rough")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from agent.bench.suite import FULL, QUICK, figures

    for figure in figures(QUICK if args.quick else FULL):
        print(figure.to_json() if args.json else figure.to_text(), flush=True)
    return 0
