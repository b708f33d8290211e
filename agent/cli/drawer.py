"""`counterfoil drawer open`: opens the cash drawer, and says whether it is known to be open.

The rule: through the running agent, whose printer it hangs on; while it is stopped, straight through the printer.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from agent.cli.options import acting, add_config, add_json, add_operator, load_config, remedy, show

REASONS: Final = ("change", "count", "error", "other")
SAID: Final = {True: "The drawer is open.", False: "The drawer did not open.", None: "The pulse was sent."}


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("drawer", help="open the cash drawer")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    verb = verbs.add_parser("open", help="one pulse, if the printer can give it now")
    verb.add_argument("--reason", choices=REASONS, default="other", help="why, for the journal")
    add_operator(verb)
    add_config(verb)
    add_json(verb)
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: open as far as one can know, 4: not. Raises ConfigError, DeviceUnavailable."""
    from agent.errors import AgentNotRunning

    try:
        with acting(args) as agent:
            result = agent.post("/v1/drawer-openings", {"reason": args.reason})
    except AgentNotRunning:
        result = _opened_here(args)
    if args.json:
        show(result)
    else:
        print(SAID[result["opened"]])
        if result["reason"]:
            print(f"  why: {result['reason'].replace('_', ' ')}\n  do:  {remedy(result['reason'], result['action'])}")
    return 4 if result["opened"] is False else 0


def _opened_here(args: argparse.Namespace) -> dict[str, Any]:
    from agent import devices
    from agent.errors import DeviceUnavailable

    config = load_config(args)
    if not (config.drawer.attached and config.printer.address):
        raise DeviceUnavailable("No cash drawer is configured (drawer.attached, printer.address).")
    fixtures = devices.Fixtures.opened(config)
    try:
        assert fixtures.drawer is not None
        return devices.open_cash_drawer(config, fixtures.drawer)
    finally:
        fixtures.close()
