"""`counterfoil snapshot verify|show|lookup`: is a layer of a credit snapshot sound, what is it, what does it say.

The rule: works on any file, on a bad disk and while the agent is stopped; changes nothing; and what was not verified
is said to be unverified.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli.options import add_action

if TYPE_CHECKING:
    from agent.core.snapshot_layer import Record, SnapshotError
    from agent.core.snapshot_manifest import Manifest
    from agent.core.snapshot_reader import Layer

Run = Callable[[argparse.Namespace], int]
DONE, REFUSED = 0, 1
TOKEN_BYTES = 16
UNVERIFIED = "The signature is not verified: whoever wrote this file can claim anything."


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `snapshot`."""
    parser = subparsers.add_parser("snapshot", help="verify, explain or search a layer of a credit snapshot")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    action = _add(actions, "verify", verify, "check signature, validity and every page of a layer")
    action.add_argument("--keys", type=Path, required=True, help="the lender's signed key list")
    action.add_argument("--root", type=Path, required=True, help="the lender's public root key (COSE_Key)")
    action.add_argument("--at", type=int, help="judge the key at this time, UTC seconds (default: now)")
    _add(actions, "show", show, "explain the manifest of a layer without verifying its signature")
    action = _add(actions, "lookup", lookup, "what a layer says of an account, without verifying its signature")
    action.add_argument("token", metavar="TOKEN", type=_account_token, help="account token, 32 hexadecimal digits")


def _add(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, run: Run, explanation: str
) -> argparse.ArgumentParser:
    action = add_action(actions, name, run, explanation)
    action.add_argument("file", metavar="FILE", type=Path, help="a layer: base or delta")
    return action


def verify(args: argparse.Namespace) -> int:
    """Exit code 0 if a lane that trusts these keys would install the layer. Raises KeysUnusable, OSError."""
    from agent.cli.sandbox_lender import load_keys
    from agent.core.snapshot_check import check_layer
    from agent.core.snapshot_layer import SnapshotError
    from agent.core.snapshot_reader import trusting

    at = int(time.time()) if args.at is None else args.at
    keys = load_keys(args.keys, args.root)
    try:
        layer = _open(args.file, trusting(keys, at))
        check_layer(layer)
    except SnapshotError as refused:
        return _refused(args, refused)
    manifest = layer.manifest
    sentences = [f"Verified at {_utc(at)}: all {layer.header.pages_end} pages are as the lender signed them."]
    if at >= manifest.built_at + manifest.hard_age_s:
        sentences.append("But it is past its hard age: no lane approves offline from it.")
    _print(args, {"verified": True, **_facts(layer)}, [*sentences, *_explained(layer)])
    return DONE


def show(args: argparse.Namespace) -> int:
    """Explain a layer. Raises OSError."""
    from agent.core.snapshot_layer import SnapshotError

    try:
        layer = _open(args.file, _unverified)
    except SnapshotError as refused:
        return _refused(args, refused)
    _print(args, {"verified": False, **_facts(layer)}, [UNVERIFIED, *_explained(layer)])
    return DONE


def lookup(args: argparse.Namespace) -> int:
    """Show the record of one account; exit code 1 if this layer has none. Raises OSError."""
    from agent.core.snapshot_layer import SnapshotError

    try:
        layer = _open(args.file, _unverified)
        record = layer.lookup(args.token)
    except SnapshotError as refused:
        return _refused(args, refused)
    if record is None:
        _print(args, {"verified": False, "record": None}, [f"This layer has no account {args.token.hex()}."])
        return REFUSED
    values = {**_values(record), "token": record.token.hex()}
    _print(args, {"verified": False, "record": values}, [UNVERIFIED, *_record_sentences(record, layer.manifest)])
    return DONE


def _open(path: Path, check: Callable[[bytes], Mapping[Any, object]]) -> "Layer":
    from agent.core.snapshot_reader import Pread, open_layer

    # Open until the command ends. Read, not mapped: a bad sector under a memory map kills the process.
    descriptor = os.open(path, os.O_RDONLY)
    return open_layer(Pread(partial(os.pread, descriptor), os.fstat(descriptor).st_size), check)


def _unverified(signed: bytes) -> Mapping[Any, object]:
    from agent.core import cbor, cose
    from agent.core.trust import TrustError

    try:
        payload = cbor.decode(cose.parse1(signed).payload, deterministic=False)
    except (cbor.CborError, cose.CoseError) as error:
        raise TrustError("malformed", str(error)) from error
    return payload if isinstance(payload, dict) else {}


def _values(record: "Record | Manifest") -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _facts(layer: "Layer") -> dict[str, object]:
    facts = _values(layer.manifest) | {"layer": layer.digest, "pages": layer.header.pages_end}
    return {name: fact.hex() if isinstance(fact, bytes) else fact for name, fact in facts.items()}


def _explained(layer: "Layer") -> list[str]:
    manifest, header = layer.manifest, layer.header
    kind = "Base layer" if manifest.below is None else f"Delta upon layer {manifest.below.hex()[:16]}, base"
    leases = f"lane {manifest.lane}" if manifest.lane else "all lanes of the store together"
    return [
        f"{kind} {manifest.base_sequence}; this is sequence {manifest.sequence}, layer {layer.digest.hex()[:16]}.",
        f"Lender {manifest.lender}, for store {manifest.store} of merchant {manifest.merchant}.",
        f"Allowances belong to {leases}, lease epoch {manifest.lease_epoch}, in minor units of {manifest.currency}.",
        *([f"Draws are counted by pool {manifest.pool[0]}, generation {manifest.pool[1]}."] if manifest.pool else []),
        f"Built {_utc(manifest.built_at)}; allowances shrink from {_utc(manifest.built_at + manifest.soft_age_s)} "
        f"and end at {_utc(manifest.built_at + manifest.hard_age_s)}.",
        f"{manifest.records} accounts in {header.page_count} pages and {header.overflow_page_count} overflow pages.",
        f"Needs policy {manifest.policy_version} or newer.",
        *(
            f"Includes the journal of lane {lane} up to epoch {epoch}, entry {number}."
            for lane, (epoch, number) in sorted(manifest.applied_through.items())
        ),
    ]


def _record_sentences(record: "Record", manifest: "Manifest") -> list[str]:
    flags = {"blocked": record.blocked, "always step up": record.step_up, "removed": record.removed}
    flags["purpose-bound"] = record.purpose_bound
    named = ", ".join(name for name, is_set in flags.items() if is_set) or "no flags"
    until = f"valid until {_utc(record.valid_until_s)}" if record.valid_until_s else "lapsed when the layer was built"
    sentences = [
        f"Account {record.token.hex()}: tier {record.tier}, {named}.",
        f"Allowance {record.allowance_minor} minor units of {manifest.currency}, {until}.",
    ]
    if record.place is not None:
        sentences.append(f"Last seen {record.place[0]} km east and {record.place[1]} km north of the layer's origin.")
    if record.last_seen_s is not None:
        sentences.append(f"Last seen at {_utc(record.last_seen_s)}.")
    return sentences


def _refused(args: argparse.Namespace, refused: "SnapshotError") -> int:
    record = {"verified": False, "reason": refused.reason, "detail": str(refused)}
    _print(args, record, [f"Refused, {refused.reason}: {refused}."])
    return REFUSED


def _print(args: argparse.Namespace, record: Mapping[str, object], sentences: list[str]) -> None:
    print(json.dumps(record, ensure_ascii=False) if args.json else "\n".join(sentences))


def _account_token(text: str) -> bytes:
    try:
        token = bytes.fromhex(text)
    except ValueError:
        token = b""
    if len(token) != TOKEN_BYTES:
        raise argparse.ArgumentTypeError("an account token is written in 32 hexadecimal digits")
    return token


def _utc(at: int) -> str:
    """RFC 3339; the bare number for a time that no calendar holds."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{at} s"
