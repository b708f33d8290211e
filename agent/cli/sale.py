"""`counterfoil sale`: make, look up, capture or undo a sale by hand."""

import argparse
from typing import Any
from urllib.parse import quote

from agent.cli import sale_plans
from agent.cli.options import add_config, add_json, client, show


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("sale", help="make, show, capture or reverse a sale by hand")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    make = verbs.add_parser("make", help="open a sale; without --code it waits for the next scan")
    make.add_argument("amount_minor", type=int, help="amount in minor units (12800 for 128.00)")
    make.add_argument("--currency", default="CNY")
    make.add_argument("--sale-id", help="8 to 36 of A-Z a-z 0-9 . _ - (default: a new one)")
    make.add_argument("--code", help="the text of the scanned code")
    make.add_argument("--later", action="store_true", help="authorize only; capture later")
    make.add_argument("--wait", type=float, default=30.0, metavar="S", help="how long to wait for the scan")
    sale_plans.add_wishes(make)
    make.set_defaults(run=_make)
    sale_plans.add_verbs(verbs)
    for name, text in (("show", "where a sale stands"), ("capture", "turn its hold into a debt"),
                       ("reverse", "undo its hold")):  # fmt: skip
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("sale_id")
        verb.set_defaults(run=_one, what=name)
    for verb in verbs.choices.values():
        add_config(verb)
        add_json(verb)


def _make(args: argparse.Namespace) -> int:
    agent = client(args)
    body = {
        "amount": {"minor": args.amount_minor, "currency": args.currency},
        "capture": "later" if args.later else "at_once",
    }
    body |= {"sale_id": args.sale_id} if args.sale_id else {}
    body |= {"code": args.code} if args.code else {}
    view = agent.post("/v1/sales", body | sale_plans.wishes(args))
    if view["state"] == "waiting":
        print(f"Waiting for a scan for sale {view['sale_id']} …")
        view = agent.get(f"{_path(view['sale_id'])}?wait_s={args.wait}")
    return _shown(args, view)


def _one(args: argparse.Namespace) -> int:
    agent, path = client(args), _path(args.sale_id)
    if args.what == "show":
        return _shown(args, agent.get(path))
    return _shown(args, agent.post(f"{path}/{'capture' if args.what == 'capture' else 'reversal'}"))


def _path(sale_id: str) -> str:
    return f"/v1/sales/{quote(sale_id, safe='')}"


def _shown(args: argparse.Namespace, view: dict[str, Any]) -> int:
    if args.json:
        show(view)
    else:
        sale_plans.print_outcome(view)
    return 0 if view["state"] in ("approved", "reversed") else 1
