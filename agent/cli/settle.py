"""`counterfoil settle`: close the day and match it with the backend."""

import argparse
from collections.abc import Iterator
from typing import Any, Final

from agent.cli.options import acting, add_config, add_json, add_operator, client, show
from agent.core.money import format_minor

EXIT_CODES: Final = {"matched": 0, "pending": 3, "different": 4}


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("settle", help="close the day: totals, and whether the backend has the same")
    parser.add_argument("--lender", help="whose batch (default: every lender's and wallet's)")
    printing = parser.add_mutually_exclusive_group()
    printing.add_argument(
        "--print", action="store_true", help="print the report also of a batch that was closed before"
    )
    printing.add_argument("--no-print", action="store_true", help="print no report")
    add_operator(parser)
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: both halves match, 3: pending, 4: they differ; of several lenders the worst."""
    status = client(args).get("/v1/status")
    currencies = {row["lender"]: row["currency"] for row in status["lenders"]}
    chosen = [args.lender] if args.lender else [*currencies, *_wallets_in_use(status)]
    paper = None if args.no_print else "always" if args.print else "once"
    with acting(args) as agent:
        reports = [agent.post("/v1/settlements", {"lender": lender, "print": paper}) for lender in chosen]
    if args.json:
        show(reports[0] if args.lender else {"batches": reports})
    else:
        for report in reports:
            print("\n".join(_screen(report, currencies.get(report["lender"], "CNY"))))
    return max(EXIT_CODES[report["state"]] for report in reports)


def _wallets_in_use(status: dict[str, Any]) -> Iterator[str]:
    for wallet in status["wallets"]:
        if any(total["count"] for total in wallet["batch"]["totals"].values()):
            yield wallet["rail"]


def _screen(report: dict[str, Any], currency: str) -> Iterator[str]:
    yield f"Batch {report['batch']} of {report['lender']}: entries {report['first_number']}-{report['last_number']}"
    for name, total in report["totals"].items():
        yield f"  {name:<9} {total['count']:>6}  {format_minor(total['minor'], currency):>16}"
    yield from _carried(report["open"], currency)
    yield f"Both halves: {report['state']}"
    if report["state"] == "pending":
        yield "Entries are still to be sent, or the backend did not answer: run `counterfoil settle` again later."
    for difference in report["differences"]:
        yield f"  {difference}"
    if report["was_closed"] and report["print_job"] is None:
        yield "It was closed before; --print prints its report again, as a copy."
    if report["print_job"] is not None:
        yield f"The report goes to the printer (job {report['print_job']})."


def _carried(still: dict[str, Any], currency: str) -> Iterator[str]:
    """What is not settled with this day, line by line."""
    held, items = still["held"], still["items"]
    if not (still["unsent"] or held["count"] or items):
        return
    yield "Carried to the next day:"
    if still["unsent"]:
        yield f"  entries still to be sent: {still['unsent']}"
    if held["count"]:
        yield f"  {held['count']} held and not captured, {format_minor(held['minor'], currency)}"
    for item in items:
        about = f", sale {item['sale_id']}" if item["sale_id"] else ""
        yield f"  entry {item['epoch']}-{item['number']} {item['state']}: {item['reason']}{about}"
