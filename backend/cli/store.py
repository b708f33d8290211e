"""``store place|list``: where stores are, so that rules can tell who cannot have come from where they were."""

from __future__ import annotations

import argparse
import re
from decimal import Decimal
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_group, add_verb
from backend.cli.output import show, show_table

_DEGREES = re.compile(r"-?\d{1,3}(\.\d{1,6})?", re.ASCII)


def add_parser(verbs: Any) -> None:
    group = add_group(verbs, "store", "where stores are")
    placing = add_verb(group, "place", _place, "say where a store is, and in which time zone")
    placing.add_argument("store", metavar="STORE")
    placing.add_argument("--merchant", default="merchant-1", help="default: merchant-1")
    for name in ("latitude", "longitude"):
        about = f"{name} in degrees (WGS 84), south and west negative"
        placing.add_argument(f"--{name}", type=_udeg, required=True, metavar="DEGREES", help=about)
    placing.add_argument("--zone", metavar="ZONE", help="IANA time zone (default: Asia/Shanghai)")
    add_verb(group, "list", _list, "every store whose place is known")


def _place(args: argparse.Namespace) -> int:
    where = {"latitude_udeg": args.latitude, "longitude_udeg": args.longitude}
    show(args, ask(args, "store.place", merchant=args.merchant, store=args.store, zone=args.zone, **where))
    return 0


def _list(args: argparse.Namespace) -> int:
    show_table(args, ask(args, "store.list"), "stores", "no store has a place yet; give it one with: store place STORE")
    return 0


def _udeg(text: str) -> int:
    """Microdegrees from decimal degrees."""
    if _DEGREES.fullmatch(text) is None:
        raise argparse.ArgumentTypeError("degrees are written like 31.2304, with six decimals at most")
    return int(Decimal(text) * 1_000_000)
