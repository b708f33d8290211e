"""`counterfoil display test`: a test on the customer's line display.

The rule: through the running agent, whose display it is; while it is stopped, straight to the configured display.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, Final

from agent.cli.options import add_config, add_json, client, load_config, remedy, show

STAYS_S: Final = 3
"""While the agent is stopped the display is blank again when the command ends."""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("display", help="try the customer's line display")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    verb = verbs.add_parser("test", help="shows the word TEST and an amount, in Chinese where the display has it")
    add_config(verb)
    add_json(verb)
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: the display took it, 4: not. Raises ConfigError, DeviceUnavailable."""
    from agent.errors import AgentNotRunning

    try:
        result = client(args).post("/v1/display-tests")
    except AgentNotRunning:
        result = _shown_here(args)
    if args.json:
        show(result)
    elif result["reason"]:
        print(f"Nothing is shown.\n  why: {result['reason'].replace('_', ' ')}")
        print(f"  do:  {remedy(result['reason'], result['action'])}")
    else:
        print("The display took the test; it cannot report, so look at it.")
    return 4 if result["reason"] else 0


def _shown_here(args: argparse.Namespace) -> dict[str, Any]:
    from agent import devices
    from agent.errors import DeviceUnavailable

    config = load_config(args)
    display = devices.configured_display(config)
    if display is None:
        raise DeviceUnavailable("No line display is configured (display.address).")
    try:
        result = devices.show_test(config, display)
        if result["reason"] is None:
            if not args.json:
                print(f"Look at the display; it goes blank in {STAYS_S} seconds.", flush=True)
            time.sleep(STAYS_S)
        return result
    finally:
        display.close()
