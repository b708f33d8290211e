"""`counterfoil sale`: make, look up, capture, undo or refund a sale by hand."""

import argparse
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from agent.cli import sale_plans
from agent.cli.options import acting, add_config, add_json, add_operator, client, show
from agent.core.money import Money
from agent.errors import CounterfoilError

WENT_WELL = ("approved", "reversed", "voided", "refunded", "refunded_in_part")


class AmountMissing(CounterfoilError):
    """A refund of another lane's sale needs its amount."""

    code = "amount_missing"
    hint = "Give it in minor units after the sale id: `counterfoil sale refund SALE_ID 5000 --lane LANE`."


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("sale", help="make, show, capture, undo or refund a sale by hand")
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
    _add_list(verbs)
    show = _verb(verbs, "show", "where a sale stands")
    show.set_defaults(run=lambda args: _shown(args, client(args).get(_path(args.sale_id))))
    capture = _verb(verbs, "capture", "turn what is held into a debt, in full or in less")
    capture.add_argument("amount_minor", type=int, nargs="?", help="(default: all that is held)")
    capture.add_argument("--part", action="store_true", help="more captures follow: keep holding the rest")
    _repeatable(capture)
    capture.set_defaults(run=_capture)
    for name, text in (("reverse", "release what is held"), ("void", "undo the sale, on its own business day")):
        verb = _verb(verbs, name, text)
        verb.add_argument("--reason", default="cashier")
        add_operator(verb)
        verb.set_defaults(run=_undo, call="reversal" if name == "reverse" else name)
    refund = _verb(verbs, "refund", "give back what was captured, whole or in part")
    refund.add_argument("amount_minor", type=int, nargs="?", help="(default: all that is left)")
    refund.add_argument("--reason", default="cashier")
    _repeatable(refund)
    refund.add_argument("--lane", help="the lane that made the sale, as its slip says (default: this one)")
    refund.add_argument("--lender", help="whose credit it was (default: the lane's first)")
    refund.add_argument("--currency", default="CNY")
    add_operator(refund)
    refund.set_defaults(run=_refund)
    for verb in verbs.choices.values():
        add_config(verb)
        add_json(verb)


def _add_list(verbs: Any) -> None:
    listed = verbs.add_parser("list", help="the last sales, or those of a day, an amount, an account; newest first")
    listed.add_argument("--day", metavar="DATE", help="such as 2026-11-22, of the store's calendar")
    listed.add_argument("--amount", dest="amount_minor", type=int, metavar="MINOR", help="in minor units")
    listed.add_argument("--account-tail", metavar="XXXX", help="the last four of the account, as a slip shows it")
    listed.add_argument("--limit", type=int, default=20, help="so many at most, up to 50 (default: 20)")
    listed.set_defaults(run=_list)


def _list(args: argparse.Namespace) -> int:
    asked = {name: getattr(args, name) for name in ("day", "amount_minor", "account_tail", "limit")}
    given = {name: value for name, value in asked.items() if value is not None}
    found = client(args).get(f"/v1/sales?{urlencode(given)}")
    if args.json:
        show(found)
        return 0
    for sale in found["sales"]:
        at, amount = datetime.fromtimestamp(sale["recorded_at"], UTC).astimezone(), sale["amount"]
        print(
            f"{sale['sale_id']:<36}  {at:%Y-%m-%d %H:%M %Z}  {Money(amount['minor'], amount['currency'])}"
            f"  {sale['account'] or '-'}  {sale['state']}"
        )
    if not found["sales"]:
        print("No such sale.")
    if found["more"]:
        print("There may be more: give a --day.")
    return 0


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


def _verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(name, help=text)
    verb.add_argument("sale_id")
    return verb


def _repeatable(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--request-id", metavar="ID", help="what is sent again under one id happens once (default: a new one)"
    )


def _request(args: argparse.Namespace) -> str:
    return args.request_id or str(uuid.uuid4())


def _capture(args: argparse.Namespace) -> int:
    body: dict[str, Any] = {"final": not args.part}
    body |= {"amount_minor": args.amount_minor} if args.amount_minor is not None else {}
    body |= {"request_id": _request(args)} if args.part or args.request_id else {}
    return _shown(args, client(args).post(f"{_path(args.sale_id)}/capture", body))


def _undo(args: argparse.Namespace) -> int:
    with acting(args) as agent:
        return _shown(args, agent.post(f"{_path(args.sale_id)}/{args.call}", {"reason": args.reason}))


def _refund(args: argparse.Namespace) -> int:
    body = {"request_id": _request(args), "reason": args.reason}
    if args.lane is not None:
        return _refund_elsewhere(args, body)
    body |= {"amount_minor": args.amount_minor} if args.amount_minor is not None else {}
    with acting(args) as agent:
        return _shown(args, agent.post(f"{_path(args.sale_id)}/refund", body))


def _refund_elsewhere(args: argparse.Namespace, body: dict[str, Any]) -> int:
    if args.amount_minor is None:
        raise AmountMissing
    amount = {"minor": args.amount_minor, "currency": args.currency}
    body |= {"lane": args.lane, "sale_id": args.sale_id, "amount": amount}
    with acting(args) as agent:
        return _shown(args, agent.post("/v1/refunds", body | ({"lender": args.lender} if args.lender else {})))


def _path(sale_id: str) -> str:
    return f"/v1/sales/{quote(sale_id, safe='')}"


def _shown(args: argparse.Namespace, view: dict[str, Any]) -> int:
    if args.json:
        show(view)
    else:
        sale_plans.print_outcome(view)
        for name in ("captured", "refunded"):
            if (amount := view.get(name)) and amount["minor"]:
                print(f"  {name} {Money(amount['minor'], amount['currency'])}")
    return 0 if view["state"] in WENT_WELL else 1
