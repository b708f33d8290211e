"""`counterfoil settle`: close the day and match it with the backend."""

import argparse
from collections.abc import Iterator
from typing import Any, Final

from agent.cli.options import acting, add_config, add_json, add_operator, add_printing, client, paper_of, show
from agent.core.money import format_minor

EXIT_CODES: Final = {"matched": 0, "pending": 3, "different": 4}


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("settle", help="close the day: totals, and whether the backend has the same")
    parser.add_argument("--lender", help="whose batch (default: every lender's and wallet's)")
    add_printing(parser, again="also of a batch that was closed before")
    add_operator(parser)
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: both halves match, 3: pending, 4: they differ; of several lenders the worst."""
    status = client(args).get("/v1/status")
    currencies = {row["lender"]: row["currency"] for row in status["lenders"]}
    chosen = [args.lender] if args.lender else [*currencies, *_wallets_in_use(status)]
    with acting(args) as agent:
        reports = [agent.post("/v1/settlements", {"lender": each, "print": paper_of(args)}) for each in chosen]
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
        yield f"  {_difference(difference, currency)}"
    if report["was_closed"] and report["print_job"] is None:
        yield "It was closed before; --print prints its report again, as a copy."
    if report["print_job"] is not None:
        yield f"The report goes to the printer (job {report['print_job']})."


def _difference(found: dict[str, Any], currency: str) -> str:
    """Where the halves differ, and what each of them says."""

    def said(half: Any) -> str:
        return half if isinstance(half, str) else f"{half['count']} × {format_minor(half['minor'], currency)}"

    about = f", sale {found['sale_id']}" if found["sale_id"] else ""
    entry = f"entry {found['number']} ({found['reason']}{about})"
    where = {"total": found["name"], "entry": entry}.get(found["what"], found["what"])
    return f"{where}: {said(found['lane'])} here, {said(found['backend'])} there" if found["lane"] else where


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
