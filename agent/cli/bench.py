"""`counterfoil bench`: what each step of a sale costs on this machine, beside its limit or rival of the same run."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("bench", help="measure this machine: each figure beside its limit or rival")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; figures are rough")
    parser.add_argument(
        "--drain", type=int, metavar="N", help="instead: N entries of several lanes, brought to a backend"
    )
    parser.add_argument(
        "--photographs", type=Path, metavar="FOLDER", help="instead: how much of its pictures the camera's chain reads"
    )
    parser.add_argument("--lanes", type=int, default=4, help="how many lanes bring them (default: 4)")
    parser.add_argument(
        "--database",
        metavar="WHERE",
        default="sqlite",
        help="sqlite, postgresql (one of its own), or a postgresql:// URL",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from agent.bench.suite import FULL, QUICK, drained, figures

    if args.photographs:
        from agent.bench.photographs import photographs

        for figure in photographs(args.photographs):
            print(figure.to_json() if args.json else figure.to_text(), flush=True)
        return 0
    found = drained(args.drain, args.lanes, args.database) if args.drain else figures(QUICK if args.quick else FULL)
    for figure in found:
        print(figure.to_json() if args.json else figure.to_text(), flush=True)
    return 0
