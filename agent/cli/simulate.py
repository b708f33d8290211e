"""`counterfoil simulate`: a fleet of lanes in virtual time, with crashes, partitions and wrong clocks, audited.

The rule: it touches nothing of this computer's lane; a seed tells everything that happens.
"""

import argparse
from dataclasses import replace
from typing import Any

RUNS = 10
HOURS = 10.0
LANES = 2


def add_parser(subparsers: Any) -> None:
    """Add the verb `simulate`."""
    text = "a fleet of lanes in virtual time, everything going wrong, every promise audited"
    parser = subparsers.add_parser("simulate", help=text, description=text)
    parser.add_argument("--seed", type=int, help="replay this seed (default: seeds 0, 1, 2, … as many as --runs)")
    parser.add_argument("--runs", type=int, metavar="K", help=f"how many seeds (default {RUNS}; 1 with --seed)")
    parser.add_argument("--lanes", type=int, metavar="N", default=LANES, help=f"lanes of the shop (default {LANES})")
    parser.add_argument("--lenders", type=int, metavar="M", default=1, help="lenders of every lane (default 1)")
    parser.add_argument("--hours", type=float, metavar="H", default=HOURS, help=f"virtual hours (default {HOURS:g})")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when every promise held, 1 when one did not."""
    from agent.simulation.report import as_json, as_text, run_series
    from agent.simulation.town import Scale

    scale = replace(Scale(), lanes=max(1, args.lanes), lenders=max(1, args.lenders), hours=args.hours)
    runs = list(run_series(args.seed or 0, args.runs or (RUNS if args.seed is None else 1), scale))
    print(as_json(runs) if args.json else as_text(runs, scale))
    return 1 if any(one.findings.violations for one in runs) else 0
