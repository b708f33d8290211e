"""The part of `counterfoil sale` about instalments: what is offered, and what the customer chooses.

The one rule: nobody chooses here what was not shown here: a choice names the statement that was printed before it.
"""

import argparse
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from agent.cli.options import client, show
from agent.core.money import format_minor
from agent.errors import CounterfoilError

NONE = "none"


class NothingToChoose(CounterfoilError):
    """The sale does not wait for a choice, or is not offered this plan."""

    code = "nothing_to_choose"
    hint = "See what is offered with `counterfoil sale show SALE_ID`."


def add_wishes(parser: argparse.ArgumentParser) -> None:
    """What a new sale may wish for."""
    parser.add_argument("--offers", action="store_true", help="show the payment plans after the scan, and choose then")
    parser.add_argument("--plan", help="sell by this payment plan")
    parser.add_argument("--coupon", help="the text of an interest-free coupon")


def wishes(args: argparse.Namespace) -> dict[str, Any]:
    given = {"offers": args.offers or None, "plan": args.plan, "coupon": args.coupon}
    return {name: value for name, value in given.items() if value is not None}


def add_verbs(verbs: Any) -> None:
    offers = verbs.add_parser("offers", help="which payment plans an amount may have, and what each costs")
    offers.add_argument("amount_minor", type=int, help="amount in minor units (12800 for 128.00)")
    offers.add_argument("--currency", default="CNY")
    offers.add_argument("--code", help="the customer's code: its lender's plans (default: the first lender's)")
    offers.add_argument("--coupon", help="the text of an interest-free coupon")
    offers.set_defaults(run=_offers)
    choose = verbs.add_parser("choose", help="take one of the offered plans for a sale that waits for it")
    choose.add_argument("sale_id")
    choose.add_argument("plan", help=f"id of the plan, or `{NONE}` for no instalments")
    choose.set_defaults(run=_choose)


def _offers(args: argparse.Namespace) -> int:
    body = {"amount": {"minor": args.amount_minor, "currency": args.currency}}
    given = {name: getattr(args, name) for name in ("code", "coupon") if getattr(args, name)}
    menu = client(args).post("/v1/offers", body | given)
    if args.json:
        show(menu)
    else:
        print_menu(menu)
    return 0 if menu["offers"] else 1


def _choose(args: argparse.Namespace) -> int:
    view = _chosen(args, args.sale_id, args.plan)
    if args.json:
        show(view)
    else:
        print_outcome(view)
    return 0 if view["state"] == "approved" else 1


def _chosen(args: argparse.Namespace, sale_id: str, plan: str) -> dict[str, Any]:
    """The sale, decided with the plan as it is offered now. Raises NothingToChoose."""
    agent, path = client(args), f"/v1/sales/{quote(sale_id, safe='')}"
    if plan == NONE:
        view: dict[str, Any] = agent.post(f"{path}/choice", {})
        return view
    asked = agent.get(path)
    offer = next((offer for offer in asked.get("offers", ()) if offer["plan"] == plan), None)
    if offer is None:
        raise NothingToChoose(f"Sale {sale_id} is {asked['state']} and is not offered the plan {plan}.")
    if not args.json:
        print_offer(offer)
    sold: dict[str, Any] = agent.post(f"{path}/choice", {"plan": plan, "statement": offer["statement"]})
    return sold


def print_menu(menu: Mapping[str, Any]) -> None:
    """Every offer in full: the law wants it seen before it is taken."""
    if menu.get("reason"):
        for sentence in menu["texts"].values():
            print(f"  {sentence}")
    if not menu["offers"]:
        print(f"{menu['lender']} offers no payment plan for this amount.")
    for offer in menu["offers"]:
        print_offer(offer)


def print_offer(offer: Mapping[str, Any]) -> None:
    print(f"{offer['plan']}:")
    for label, figure in offer["rows"]:
        print(f"  {label}{': ' if figure else ''}{figure}")


def print_outcome(view: Mapping[str, Any]) -> None:
    print(f"{view['sale_id']}: {view['state']} {view.get('response_code') or ''} {view.get('mode') or ''}".rstrip())
    for sentence in (view.get("texts") or {}).values():
        print(f"  {sentence}")
    if view.get("plan"):
        print_offer(view["plan"])
    if left := view.get("plan_left"):
        total, fee = (format_minor(left[name], view["amount"]["currency"]) for name in ("total_minor", "fee_minor"))
        print(f"  left of the plan after refunds: {total}, {fee} of it fees")
    if view["state"] == "choosing":
        print_menu({**view, "reason": None})
        print(f"Choose with: counterfoil sale choose {view['sale_id']} PLAN (or {NONE})")
