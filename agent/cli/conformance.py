"""`counterfoil conformance URL`: what a backend gets wrong, rule by rule of the written protocol."""

import argparse
import sys
from pathlib import Path
from typing import Any

from agent.cli.options import add_json, show


def add_parser(subparsers: Any) -> None:
    text = "try every rule of the lane protocol on a backend"
    parser = subparsers.add_parser("conformance", help=text, description=text)
    parser.add_argument("url", metavar="URL", help="address of the backend, https://…")
    parser.add_argument("--kit", type=Path, required=True, metavar="FILE", help="what the backend's team prepared")
    only = "cases whose id begins so, as J or J-04 (may be repeated)"
    parser.add_argument("--only", action="append", default=[], metavar="ID", help=only)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when no case failed, 1 when one did."""
    from agent.conformance import kit, report, suite
    from agent.conformance.exchange import Broken
    from agent.errors import CounterfoilError

    prepared = kit.load(args.kit)

    def tell(result: suite.Result) -> None:
        if not args.json:
            print(report.line(result), flush=True)

    try:
        results = suite.run(args.url, prepared, suite.chosen(args.only), tell=tell)
    except Broken as broken:
        raise CounterfoilError(f"{args.url} cannot be tried: expected {broken.expected}. {broken.came}") from broken
    show(report.document(args.url, results)) if args.json else print(report.summary(results), file=sys.stderr)
    return 1 if report.counts(results)["failed"] else 0
