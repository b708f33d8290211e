"""`counterfoil virtual …`: scans, empties, opens and unplugs the running lane's virtual devices.

The rule: only a device whose address is `virtual:PATH` can be acted upon; nobody plays with a real one from here.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from agent.cli.options import add_config, add_json, client, show

ACTS: Final = {
    "scan": "a scanner reads a code",
    "paper-out": "the printer's roll is at its end",
    "near-end": "the roll is nearly used up",
    "cover": "the printer's cover is open",
    "cutter": "the cutter is stuck",
    "off-line": "the printer is switched off line",
    "mute": "the printer prints and answers nothing",
    "drawer-lock": "the cash drawer is locked",
    "drawer-close": "somebody closes the cash drawer",
    "unplug": "no power, no cable",
    "well": "everything is well again; what the printer kept comes out",
}


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("virtual", help="play what happens to virtual devices")
    acts = parser.add_subparsers(metavar="ACT", required=True)
    for name, explanation in ACTS.items():
        act = acts.add_parser(name, help=explanation, description=explanation)
        if name == "scan":
            act.add_argument("code", metavar="CODE", help="what the scanner reads, such as 4006381333931")
        act.add_argument("--device", default="", metavar="NAME", help="which one, where several could be meant")
        add_config(act)
        add_json(act)
        act.set_defaults(run=run, act=name, code="")


def run(args: argparse.Namespace) -> int:
    """Exit code 0: done. Raises ConfigError, AgentNotRunning, RequestRefused."""
    wanted = {"act": args.act, "device": args.device, "code": args.code}
    result = client(args).post("/v1/virtual-acts", wanted)
    if args.json:
        show(result)
    else:
        print(f"{result['device']}: {ACTS[args.act]}.")
    return 0
