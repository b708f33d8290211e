"""``lane``: one lane, its sales, and what becomes of its device."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import Verb, add_group, add_verb
from backend.cli.output import show


def add_parser(verbs: Any) -> None:
    into = add_group(verbs, "lane", "one lane and its device")
    _verb(into, "show", run_show, "where a lane's journal ends here, and its sales")
    replacing = _verb(into, "replace", run_replace, "a one-time code for the lane's next device")
    revoking = _verb(into, "revoke", run_revoke, "end the right of the lane's device to act; it may send what it has")
    for parser in (replacing, revoking):
        parser.add_argument("--compromised", action="store_true", help="believe nothing that the device still sends")
    admitting = _verb(into, "admit", run_admit, "vouch for a device that restored books have forgotten")
    refusing = _verb(into, "refuse", run_refuse, "do not: what such a device has sent is quarantined")
    admitting.add_argument("--compromised", action="store_true", help="believe nothing of the lane's device before it")
    for parser in (admitting, refusing):
        parser.add_argument("--epoch", type=int, help="the journal that it writes (default: the newest that waits)")
    off = _verb(
        into, "write-off", run_write_off, "give a journal up: its leases count no more, the lender bears the rest"
    )
    revoking.add_argument("--epoch", type=int, help="of the device that writes this epoch (default: the present one)")
    off.add_argument("--epoch", type=int, help="the journal's epoch (default: the current one)")


def run_show(args: argparse.Namespace) -> int:
    show(args, ask(args, "lane.show", lane=args.lane))
    return 0


def run_replace(args: argparse.Namespace) -> int:
    show(args, ask(args, "lane.replace", lane=args.lane, compromised=args.compromised))
    return 0


def run_revoke(args: argparse.Namespace) -> int:
    show(args, ask(args, "lane.revoke", lane=args.lane, compromised=args.compromised, epoch=args.epoch))
    return 0


def run_admit(args: argparse.Namespace) -> int:
    show(args, ask(args, "lane.admit", lane=args.lane, epoch=args.epoch, compromised=args.compromised))
    return 0


def run_refuse(args: argparse.Namespace) -> int:
    show(args, ask(args, "lane.refuse", lane=args.lane, epoch=args.epoch))
    return 0


def run_write_off(args: argparse.Namespace) -> int:
    show(args, ask(args, "lane.write_off", lane=args.lane, epoch=args.epoch))
    return 0


def _verb(into: Any, name: str, run: Verb, about: str) -> argparse.ArgumentParser:
    parser = add_verb(into, name, run, about)
    parser.add_argument("lane", metavar="LANE")
    return parser
