"""`counterfoil scan`: shows what a scanner reads: bytes, symbology, what kind of code it is, what a pass claims.

The rule: the running agent's scanners are its own, and it hands no credential on: it tells what kind of code was read.
While it is stopped they are read here, and every byte is shown. Nothing is sold and nothing recorded by this command.
"""

from __future__ import annotations

import argparse
import json
import queue
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any, Final

from agent.cli.options import add_address, add_config, add_json, client, device_alone, load_config

SILENCE_S: Final = 20.0
"""The agent shows every 15 s that it is still there."""
KINDS: Final = {
    "credit_pass": "a credit pass",
    "wallet_alipay": "an Alipay payment code",
    "wallet_wechat": "a WeChat Pay payment code",
    "wallet_unionpay": "a UnionPay payment code",
    "item": "an item code",
    "slip": "the code of one of our slips",
    "other": "a code of another kind (member card, coupon, …)",
}


def add_parser(subparsers: Any) -> None:
    text = "show what the scanners read: bytes, symbology, kind of code, what a pass claims"
    parser = subparsers.add_parser("scan", help="show what the scanners read", description=text)
    add_config(parser)
    add_address(parser)
    add_json(parser)
    parser.add_argument("--count", type=int, default=1, metavar="N", help="codes to show (default: 1)")
    parser.add_argument("--wait", type=float, default=60.0, metavar="S", help="how long to wait for each (default: 60)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: all were read, 4: none came in time. Raises ConfigError, DeviceUnavailable."""
    seen = _told_by_agent(args) if not args.address and _agent_runs(args) else _read_here(args)
    count = 0
    for count, record in enumerate(seen, 1):  # noqa: B007 - how many there were
        print(json.dumps(record, ensure_ascii=False) if args.json else "\n".join(_lines(record)), flush=True)
    if count < args.count:
        _say(
            args, f"Nothing was read for {args.wait:.0f} s: is the scanner's light on? Try `counterfoil devices list`."
        )
    return 0 if count >= args.count else 4


def _agent_runs(args: argparse.Namespace) -> bool:
    from agent.errors import AgentNotRunning

    try:
        client(args).get("/v1/status")
    except AgentNotRunning:
        return False
    return True


def _told_by_agent(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from agent.errors import AgentNotRunning
    from agent.local.client import LocalClient

    config = load_config(args)
    listening = LocalClient(config.agent_socket, timeout_s=SILENCE_S)
    for row in listening.get("/v1/devices"):
        if row["kind"] == "scanner" and row["reason"]:
            _say(args, _trouble(row["name"], row["reason"]))
    _say(args, "The agent runs; it tells what it reads. Stop it to see the bytes. Scan a code …")
    count, until_s = 0, time.monotonic() + args.wait
    with suppress(AgentNotRunning):  # it was stopped meanwhile
        for kind, data in listening.events():
            if kind == "scan" or (kind == "sale" and data["state"] == "asking"):
                count, until_s = count + 1, time.monotonic() + args.wait
                yield data if kind == "scan" else {"kind": "credit_pass", "device": None, "paid_for": data["sale_id"]}
            if count >= args.count or time.monotonic() > until_s:
                return


def _read_here(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from agent import devices
    from agent.errors import DeviceUnavailable
    from drivers.device import DataEvent, DeviceEvent, ErrorEvent

    config = device_alone(args, "scanner.scanner") if args.address else load_config(args)
    if not config.scanner:
        raise DeviceUnavailable("No scanner is configured ([scanner.NAME]).")
    events: queue.Queue[DeviceEvent] = queue.Queue(100)
    with ExitStack() as stack:
        for name in config.scanner:
            scanner = devices.configured_scanner(config, name, events.put_nowait)
            stack.callback(scanner.close)
            if scanner.state.reason:
                _say(args, _trouble(name, scanner.state.reason))
        _say(args, f"{'' if args.address else 'The agent is stopped; the scanners are read here. '}Scan a code …")
        count, until_s = 0, time.monotonic() + args.wait
        while count < args.count and (left_s := until_s - time.monotonic()) > 0:
            try:
                event = events.get(timeout=left_s)
            except queue.Empty:
                return
            if isinstance(event, DataEvent):
                count, until_s = count + 1, time.monotonic() + args.wait
                yield _record(event)
            elif isinstance(event, ErrorEvent):
                _say(args, _trouble(event.device, event.reason))


def _record(event: Any) -> dict[str, Any]:
    from agent.core.classify import classify

    scan = event.scan
    code = classify(scan.raw)
    record: dict[str, Any] = {"kind": code.kind, "device": scan.device, "symbology": scan.symbology}
    record |= {"bytes": len(scan.raw), "hex": scan.raw.hex(), "text": code.value}
    if code.kind == "credit_pass":
        record["pass"] = _claims(code.value)
    return record


def _claims(code: str) -> list[str]:
    """What a pass says of itself; nothing of it is verified."""
    from agent.cli.pass_ import explain

    return explain(code)


def _trouble(device: str, reason: str) -> str:
    from drivers.remedies import remedy_for

    return f"{device}: {remedy_for(reason)}"


def _lines(record: dict[str, Any]) -> Iterator[str]:
    where = f" from {record['device']}" if record.get("device") else ""
    yield f"{KINDS[record['kind']].capitalize()}{where}."
    if record.get("paid_for"):
        yield f"  It was taken as the payment of sale {record['paid_for']}, which waited for a code."
    if record.get("value"):
        yield f"  text       {record['value']}"
    if "hex" in record:
        yield f"  symbology  {record['symbology'] or 'not told by the scanner'}"
        yield f"  text       {record['text']!r}"
        yield f"  bytes      {record['bytes']}: {record['hex'][:120]}{'…' if len(record['hex']) > 120 else ''}"
    yield from (f"  {sentence}" for sentence in record.get("pass", ()))


def _say(args: argparse.Namespace, sentence: str) -> None:
    if not args.json:
        print(sentence, flush=True)
