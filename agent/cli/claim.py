"""`counterfoil claim`: the code of a slip goes to the backend, for a sale whose lane has lost its disk."""

import argparse
import sys
from typing import Any, Final

from agent.cli.options import add_config, add_json, client, show

SAID: Final = {
    "accepted": "Accepted: sale {sale_id} of lane {lane} is posted now.",
    "duplicate": "This slip was claimed before; sale {sale_id} of lane {lane} is posted once.",
    "known": "Nothing to do: lane {lane} has sent sale {sale_id} itself.",
}
REFUSED: Final = "Scan the whole code of the slip again; if that is refused too, keep it and ask the backend team."


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("claim", help="send the code of a slip to the backend, when its lane was destroyed")
    parser.add_argument("code", metavar="CODE", help="the text of the slip's QR code (CFC1:…), or - to read it")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    text = sys.stdin.readline() if args.code == "-" else args.code
    from agent.local.client import RequestRefused

    try:
        answer = client(args).post("/v1/claims", {"claim": text.strip()})
    except RequestRefused as refused:
        if refused.problem.get("title") == "uplink_refused":  # by the backend, and for the slip
            refused.hint = REFUSED  # type: ignore[misc]
        raise
    if args.json:
        show(answer)
    else:
        print(SAID[answer["result"]].format(**answer))
    return 0
