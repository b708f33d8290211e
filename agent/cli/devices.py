"""`counterfoil devices list|watch|probe|record|tell`: what is connected, how it is, how it is set, what it sends.

The rule: the running agent is asked, because its devices are its own; while it is stopped they are tried here.
"""

from __future__ import annotations

import argparse
import json
import queue
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli.options import DEFAULT_CONFIG, add_config, add_json, setting, show

if TYPE_CHECKING:
    from agent.diagnosis.discovery import Found

ASKED_BY = {
    "agent": " (asked by the running agent)",
    "command": " (the agent is stopped; tried here)",
    "nobody": f" (there is no {DEFAULT_CONFIG}; `counterfoil config init {DEFAULT_CONFIG}` writes it)",
}
EMPTY = "  no scanner, no serial port, no camera, no USB printer"


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("devices", help="what is connected, how it is, and how it is set")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        verb: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
        add_json(verb)
        verb.set_defaults(run=run)
        return verb

    add_config(add("list", run, "configured devices and their state, then what is plugged in, with what to paste"))
    watching = add("watch", watch, "tell what is plugged in and out, as it happens")
    watching.add_argument(
        "--seconds", type=float, default=float("inf"), metavar="S", help="how long (default: for ever)"
    )
    telling = add("tell", tell, "make a scanner on a serial line beep or read, by the command of its maker")
    telling.add_argument("maker", metavar="MAKER", help="datalogic, honeywell or zebra")
    telling.add_argument("command", metavar="COMMAND", help="such as beep, trigger, release; a wrong one lists them")
    telling.add_argument("address", metavar="ADDRESS", nargs="?", default="auto", help="as `devices list` shows it")
    probing = add("probe", probe, "find out how a scanner is set, from the code of any article")
    recording = add("record", record, "keep what a scanner sends as a file that tests replay; no pass is kept in clear")
    for verb in (probing, recording):
        verb.add_argument("address", metavar="ADDRESS", nargs="?", default="auto", help="as `devices list` shows it")
        verb.add_argument("--wait", type=float, default=60.0, metavar="S", help="how long to wait for each code")
    recording.add_argument("--count", type=int, default=5, metavar="N", help="codes to keep (default: 5)")
    recording.add_argument("--out", type=Path, metavar="FILE", required=True, help="the file to write")
    recording.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="such as suffix=tab")


def run(args: argparse.Namespace) -> int:
    """Exit code 0: every configured device can work, 4: one cannot. Raises ConfigError, DriverError."""
    from agent.config import parse
    from agent.diagnosis.case import Case
    from agent.diagnosis.discovery import discover

    if args.config == DEFAULT_CONFIG and not args.config.exists():  # a computer that is no lane has scanners too
        found, configured, by = discover(parse("")), [], "nobody"
    else:
        with Case(args.config) as case:
            found, configured, by = discover(case.config), case.devices, "agent" if case.is_running else "command"
    if args.json:
        show({"asked_by": by, "configured": configured, "found": [asdict(device) for device in found]})
    else:
        print("\n".join([*_configured(configured, by), "", *_found(found)]))
    return 4 if any(row["reason"] for row in configured) else 0


def watch(args: argparse.Namespace) -> int:
    """Exit code 0 when the time is over."""
    from agent.diagnosis.discovery import found
    from drivers.hotplug import Change, Hotplug

    changes: queue.Queue[Change] = queue.Queue()
    hotplug = Hotplug(changes.put)
    if not args.json:
        how = "udev tells" if hotplug.is_told_by_udev else "no udev here: looked at every two seconds"
        print(f"Plug something in or out ({how}); Ctrl+C ends.", flush=True)
    until_s = time.monotonic() + args.seconds
    try:
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                change = changes.get(timeout=min(left_s, 1.0))
            except queue.Empty:
                continue
            for sign, nodes in (("-", change.removed), ("+", change.added)):
                for device in (found(node, set()) for node in nodes):
                    print(
                        json.dumps({"change": sign} | asdict(device)) if args.json else _line(sign, device), flush=True
                    )
    finally:
        hotplug.close()
    return 0


def probe(args: argparse.Namespace) -> int:
    """Exit code 0: it reads, 4: no article's code came out. Raises DriverError."""
    from drivers.probing import probe

    finding = probe(args.address, args.wait, lambda text: None if args.json else print(text, flush=True))
    address = finding.node.address if finding.node else args.address
    if args.json:
        node = asdict(finding.node) if finding.node else None
        show(
            {
                "address": address,
                "kind": finding.kind,
                "device": node,
                "options": finding.options,
                "reads": bool(finding.code),
            }
        )
    elif finding.code is None:
        print("What came was no article's code at any setting: is the scanner in the mode that you think it is in?")
    else:
        print("\n".join(_probed(address, finding)))
    return 0 if finding.code else 4


def tell(args: argparse.Namespace) -> int:
    """Exit code 0: the command went out; whether it was obeyed, only ears and eyes can tell. Raises DriverError."""
    from drivers.scanners.commands import tell

    address = tell(args.address, args.maker, args.command)
    if args.json:
        show({"address": address, "sent": args.command})
    else:
        print(f"Sent to {address}. It says nothing to that: listen and look at the scanner.")
    return 0


def record(args: argparse.Namespace) -> int:
    """Exit code 0: codes were kept, 4: none came. Raises DriverError, OSError."""
    from drivers.recording import record

    if not args.json:
        print(f"Scan {args.count} codes: articles, long ones, passes. Only articles are kept as they are …", flush=True)
    made = record(args.address, dict(map(setting, args.option)), args.count, args.wait)
    args.out.write_text(made.to_json() + "\n", encoding="utf-8")
    if args.json:
        show({"file": str(args.out), "codes": len(made.told)})
    else:
        print(f"{args.out}: {len(made.told)} codes of {made.name or args.address} ({made.model_id or 'no USB ids'}).")
        print("Read through it, then put it into tests/recordings: the tests replay every file there.")
    return 0 if made.told else 4


def _probed(address: str, finding: Any) -> Iterator[str]:
    node = finding.node
    name = f"{node.name} ({node.model_id}), " if node else ""
    yield f"It reads: {name}{finding.kind}, symbology {finding.code.symbology or 'not told by the scanner'}."
    yield "[scanner.counter]"
    yield f'address = "{address}"'
    for key, value in finding.options.items():
        shown = {"timeout": "none"}.get(value, value) if key == "suffix" else value
        yield f"{key} = {json.dumps(shown)}"


def _configured(rows: list[dict[str, Any]], by: str) -> Iterator[str]:
    yield f"Configured{ASKED_BY[by]}:"
    if not rows:
        yield "  none"
    for row in rows:
        yield f"  {row['kind']:<8} {row['name']:<12} {row['state'] if row['reason'] else 'works'}  {row['address']}"
        counts = ", ".join(
            f"{name.removesuffix('_count').replace('_', ' ')} {n}" for name, n in row["counts"].items() if n
        )
        if counts:
            yield f"           {counts}"
        if row["reason"]:
            yield f"           do: {row['text']}"


def _found(found: list[Found]) -> Iterator[str]:
    yield "Plugged in:"
    if not found:
        yield EMPTY
    for device in found:
        yield _line(" ", device)


def _line(sign: str, device: Found) -> str:
    section = "" if sign == "-" else "".join(f"\n      {line}" for line in device.section.splitlines())
    taken = "" if device.section or sign == "-" else "  (configured)"
    return f"{sign} {device.kind:<12} {device.description}\n    {device.address}{taken}{section}"
