"""`counterfoil print test`: a test slip on paper, and how sure it is that it came out.

The rule: through the running agent, whose printer it is; while it is stopped, straight to the configured printer.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from agent.cli.options import add_config, add_json, client, load_config, show

SAID: Final = {
    "confirmed": "The printer confirms the test slip.",
    "sent_unconfirmed": "The test slip was sent; this printer cannot say whether it came out.",
    "doubtful": "The test slip may be out, or only a part of it.",
    "not_started": "Nothing was printed.",
}


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("print", help="print a test slip")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    verb = verbs.add_parser("test", help="large type, Chinese, a QR code, a cut: what a slip needs, and no sale")
    add_config(verb)
    add_json(verb)
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: printed as far as one can know, 4: not, or in doubt. Raises ConfigError, DeviceUnavailable."""
    from agent.errors import AgentNotRunning

    try:
        result = client(args).post("/v1/print-jobs")
        by = "the running agent"
    except AgentNotRunning:
        result, by = _printed_here(args), "this command; the agent is stopped"
    if args.json:
        show(result)
    else:
        print(f"{SAID[result['rung']]} (Printed by {by}.)")
        if result["reason"]:
            print(f"  why: {result['reason'].replace('_', ' ')}\n  do:  {result['action']}")
    return 0 if result["rung"] in ("confirmed", "sent_unconfirmed") else 4


def _printed_here(args: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import asdict

    from agent import devices
    from agent.errors import DeviceUnavailable

    config = load_config(args)
    printer = devices.configured_printer(config)
    if printer is None:
        raise DeviceUnavailable("No printer is configured (printer.address).")
    try:
        return asdict(devices.print_test(config, printer))
    finally:
        printer.close()
