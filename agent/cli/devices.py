"""`counterfoil devices list`: what is configured and how it is, what is plugged in, and what to paste for it.

The rule: the running agent is asked, because its devices are its own; while it is stopped they are tried here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agent.cli.options import add_config, add_json, show

if TYPE_CHECKING:
    from agent.diagnosis.discovery import Found


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("devices", help="what is connected, and how it is")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    text = "configured devices and their state, then whatever is plugged in, with the section to paste"
    verb = verbs.add_parser("list", help=text, description=text)
    add_config(verb)
    add_json(verb)
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: every configured device can work, 4: one cannot. Raises ConfigError, DriverError."""
    from agent.diagnosis.case import Case
    from agent.diagnosis.discovery import discover

    with Case(args.config) as case:
        found, configured, by = discover(case.config), case.devices, "agent" if case.is_running else "command"
    if args.json:
        show({"asked_by": by, "configured": configured, "found": [asdict(device) for device in found]})
    else:
        print("\n".join([*_configured(configured, by), "", *_found(found)]))
    return 4 if any(row["reason"] for row in configured) else 0


def _configured(rows: list[dict[str, Any]], by: str) -> Iterator[str]:
    yield "Configured" + (" (asked by the running agent):" if by == "agent" else " (the agent is stopped; tried here):")
    if not rows:
        yield "  none"
    for row in rows:
        yield f"  {row['kind']:<8} {row['name']:<12} {row['state'] if row['reason'] else 'works'}  {row['address']}"
        if row["reason"]:
            yield f"           do: {row['text']}"


def _found(found: list[Found]) -> Iterator[str]:
    yield "Plugged in:"
    if not found:
        yield "  no serial port, no camera, no USB printer"
    for device in found:
        yield f"  {device.kind:<12} {device.description}"
        yield f"    {device.address}" + ("" if device.section else "  (configured)")
        for line in device.section.splitlines():
            yield f"      {line}"
