"""`counterfoil status`: one screen that says whether this lane sells, and what is wrong if it does not."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from agent.cli.options import add_config, add_json, client, remedy, show
from agent.core.money import format_minor

WORST = {"error": 2, "warning": 1, "info": 0}


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("status", help="one screen: link, clock, queue, snapshot, printer, last sales")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: all is well, 3: something needs a look (a warning), 4: something does not work."""
    status = client(args).get("/v1/status")
    if args.json:
        show(status)
    else:
        print("\n".join(_screen(status)))
    worst = max((WORST[found["severity"]] for found in status["conditions"]), default=0)
    return {0: 0, 1: 3, 2: 4}[worst]


def _screen(status: dict[str, Any]) -> Iterator[str]:
    clock, queue, journal = status["clock"], status["queue"], status["journal"]
    if status["training"]:
        yield "TRAINING 培训: nothing here is charged"
    yield f"lane {status['lane']}, store {status['store']}"
    yield f"  link      {'up' if status['link']['up'] else 'DOWN: standing in'}"
    yield f"  clock     {'trusted' if clock['trusted'] else 'NOT TRUSTED'} ({clock['source']})"
    yield f"  journal   epoch {journal['epoch']}, entry {journal['number']}, head {journal['head'][:12]}"
    yield f"  queue     {queue['depth']} to send, acknowledged through {queue['acknowledged_through']}"
    for lender in status["lenders"]:
        yield f"  {lender['lender']:<9} {_lender(lender)}"
    yield f"  slips     {status['print_jobs_waiting']} waiting"
    yield from _conditions(status["conditions"])
    yield from _sales(status["recent_sales"])


def _lender(lender: dict[str, Any]) -> str:
    """Its documents in force, and what it approved since the last close, in its own currency."""
    batch = lender["batch"]
    approved = batch["totals"]["approved"]
    documents = f"policy {lender['policy_version'] or 'none'}, snapshot {lender['snapshot_sequence'] or 'none'}"
    clock = "" if lender["clock"]["trusted"] else ", clock NOT TRUSTED"
    amount = format_minor(approved["minor"], lender["currency"])
    return f"{documents}{clock}; batch {batch['batch']}: {approved['count']} approved, {amount}"


def _conditions(conditions: list[dict[str, Any]]) -> Iterator[str]:
    yield "All is well." if not conditions else "To look at:"
    for found in conditions:
        yield f"  {found['severity'].upper():<8}{found['code']}: {found['detail']}"
        if found["action"]:
            yield f"          {remedy(found['detail'], found['action'])}"
    if conditions:
        yield "`counterfoil doctor` says what to do about each."


def _sales(sales: list[dict[str, Any]]) -> Iterator[str]:
    if sales:
        yield "Last sales:"
    for sale in sales:
        amount = format_minor(sale["amount"]["minor"], sale["amount"]["currency"])
        sent = "sent" if sale["acknowledged"] else "to send"
        outcome = f"{sale['state']:<9} {sale['response_code'] or '':<3}"
        yield f"  {sale['sale_id']:<36} {outcome}{amount:>14}  {_slip(sale)}{sent}"


def _slip(sale: dict[str, Any]) -> str:
    if sale["state"] != "approved":
        return ""
    return "printed, " if sale["printed"] else "NOT PRINTED, "
