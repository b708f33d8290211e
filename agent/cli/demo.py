"""`counterfoil demo`: the whole product on this machine, telling the story of a lane's day."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("demo", help="the whole product on this machine: a lane's day, with a cut line")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder for slips, pictures and logs")
    parser.add_argument("--camera", action="store_true", help="one sale is scanned by a camera, from pictures")
    parser.add_argument("--exit", action="store_true", help="end with a summary instead of running on")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object (implies --exit)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when both halves match, 1 when anything does not."""
    from agent.demo.story import Options, tell

    return tell(Options(args.out, args.exit or args.json, args.json, args.camera))
