"""`counterfoil print test|status|reprint`: a test slip on paper, and how sure it is that it came out; how the printer
is; a sale's slip once more.

The rule: through the running agent, whose printer it is; while it is stopped, straight to the configured printer.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from agent.cli.options import add_address, add_config, add_json, client, device_alone, load_config, remedy, show

if TYPE_CHECKING:
    from agent.config import Config

SAID: Final = {
    "confirmed": "The printer confirms the test slip.",
    "sent_unconfirmed": "The test slip was sent; this printer cannot say whether it came out.",
    "doubtful": "The test slip may be out, or only a part of it.",
    "not_started": "Nothing was printed.",
}


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("print", help="print a test slip or a sale's slip again, or ask how the printer is")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    verb = verbs.add_parser(
        "test", help="large type, Chinese, a QR and a line code, a cut: what a slip needs, and no sale"
    )
    add_config(verb)
    add_address(verb)
    add_json(verb)
    verb.set_defaults(run=run)
    verb = verbs.add_parser("status", help="paper, cover, cutter, line; slips that wait; what was printed since start")
    add_config(verb)
    add_json(verb)
    verb.set_defaults(run=status)
    verb = verbs.add_parser("reprint", help="a sale's newest slip once more, marked as a copy; or its decline")
    verb.add_argument("sale_id", metavar="SALE_ID")
    add_config(verb)
    add_json(verb)
    verb.set_defaults(run=reprint)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: printed as far as one can know, 4: not, or in doubt. Raises ConfigError, DeviceUnavailable."""
    from agent.errors import AgentNotRunning

    try:
        if args.address:
            result, by = _printed_here(device_alone(args, "printer")), "this command"
        else:
            result, by = client(args).post("/v1/print-jobs"), "the running agent"
    except AgentNotRunning:
        result, by = _printed_here(load_config(args)), "this command; the agent is stopped"
    if args.json:
        show(result)
    else:
        print(f"{SAID[result['rung']]} (Printed by {by}.)")
        if result["reason"]:
            print(f"  why: {result['reason'].replace('_', ' ')}\n  do:  {remedy(result['reason'], result['action'])}")
    return 0 if result["rung"] in ("confirmed", "sent_unconfirmed") else 4


def status(args: argparse.Namespace) -> int:
    """Exit code 0: it can print, 4: not. Raises ConfigError, DeviceUnavailable, DriverError."""
    from agent.diagnosis.case import Case
    from agent.errors import CounterfoilError, DeviceUnavailable

    with Case(args.config) as case:
        row = next((row for row in case.devices if row["kind"] == "printer"), None)
        says = case.agent_says
    if row is None:
        raise DeviceUnavailable("No printer is configured (printer.address).")
    waiting = None if isinstance(says, CounterfoilError) else says["print_jobs_waiting"]
    if args.json:
        show(row | {"print_jobs_waiting": waiting})
        return 4 if row["reason"] else 0
    print(f"{row['address']}: {row['reason'].replace('_', ' ') or 'works'}\n  {row['text']}")
    if waiting is not None:
        print(f"  slips that wait: {waiting}")
    for name, count in row["counts"].items():
        if count:
            print(f"  {name.removesuffix('_count').replace('_', ' ')}: {count}")
    return 4 if row["reason"] else 0


def reprint(args: argparse.Namespace) -> int:
    """Exit code 0: it is on its way to the printer. Raises ConfigError, AgentNotRunning, RequestRefused."""
    from urllib.parse import quote

    queued = client(args).post(f"/v1/sales/{quote(args.sale_id, safe='')}/reprint")
    if args.json:
        show(queued)
    else:
        print(f"Print job {queued['print_job']} waits for the printer; `counterfoil print status` says how it is.")
    return 0


def _printed_here(config: Config) -> dict[str, Any]:
    from dataclasses import asdict

    from agent import devices
    from agent.errors import DeviceUnavailable

    printer = devices.configured_printer(config)
    if printer is None:
        raise DeviceUnavailable("No printer is configured (printer.address).")
    try:
        return asdict(devices.print_test(config, printer))
    finally:
        printer.close()
