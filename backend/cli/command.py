"""The command: its verbs, one file each, and what an operator is told when one fails.

The one rule: exit code 0 for done, 1 for a refusal or a finding with a sentence on stderr, 2 for wrong usage; never a
stack trace.
"""

from __future__ import annotations

import argparse
import os
import sys

from backend.admin.operation import REFUSALS, Refused, sentence
from backend.cli import (
    account,
    audit,
    conformance_kit,
    coupon,
    enroll_code,
    exceptions,
    explain,
    init,
    keys,
    lane,
    lanes,
    lease,
    leases,
    lender,
    pass_,
    pay,
    planner,
    policy,
    population,
    restored,
    serve,
    settle,
    snapshot,
    store,
)

VERBS = (
    init, serve, lender, account, coupon, pass_, pay, enroll_code, store, lanes, lane, leases, lease, exceptions,
    explain, settle, snapshot, keys, policy, planner, population, restored, audit, conformance_kit,
)  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run one verb; its exit code."""
    args = parser().parse_args(argv)
    try:
        return int(args.run(args))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of a pipe left: nothing to say
        return 1
    except (Refused, *REFUSALS) as error:
        print(f"counterfoil-backend: {sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    described = argparse.ArgumentParser("counterfoil-backend", description="The reference authorization backend.")
    verbs = described.add_subparsers(required=True, metavar="VERB")
    for verb in VERBS:
        verb.add_parser(verbs)
    return described
