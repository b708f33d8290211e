"""`counterfoil settle`: close the day and match it with the backend."""

import argparse
from typing import Any

from agent.cli.options import add_config, add_json, client, show


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("settle", help="close the day: totals, and whether the backend has the same")
    parser.add_argument("--lender", help="whose batch (default: the first lender)")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: both halves match, 3: pending, 4: they differ."""
    report = client(args).post("/v1/settlements", {"lender": args.lender} if args.lender else {})
    if args.json:
        show(report)
    else:
        print(
            f"Batch {report['batch']} of {report['lender']}: entries {report['first_number']}-{report['last_number']}"
        )
        for name, total in report["totals"].items():
            print(f"  {name:<9} {total['count']:>6}  {total['minor']:>14}")
        print(f"Both halves: {report['state']}")
        if report["state"] == "pending":
            print("Entries are still to be sent, or the backend did not answer: run `counterfoil settle` again later.")
        for difference in report["differences"]:
            print(f"  {difference}")
    return {"matched": 0, "pending": 3, "different": 4}[report["state"]]
