"""`counterfoil policy show|verify|variables`: what a policy says, whether to believe it, what its rules may name.

The rule: works while the agent is stopped and changes nothing; `show` says that it verified nothing.
"""

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.options import add_action

if TYPE_CHECKING:
    from agent.core.policy import Policy


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `policy`."""
    parser = subparsers.add_parser("policy", help="explain or verify a lender's policy")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add_action(actions, "show", show, "explain a policy file without verifying its signature").add_argument(
        "file", metavar="FILE", type=Path
    )
    action = add_action(actions, "verify", verify, "check signature, role, validity and content of a policy file")
    action.add_argument("file", metavar="FILE", type=Path)
    action.add_argument("--keys", type=Path, required=True, help="the lender's signed key list")
    action.add_argument("--root", type=Path, required=True, help="the lender's public root key (COSE_Key)")
    action.add_argument("--at", type=int, help="judge validity at this time, UTC seconds (default: now)")
    add_action(actions, "variables", variables, "list the names that a rule may use, with type and meaning")


def show(args: argparse.Namespace) -> int:
    """Print a policy, unverified. Raises UntrustedDocument with all faults if the content is no policy."""
    from agent.core.policy import PolicyError, read_policy
    from agent.errors import UntrustedDocument

    try:
        policy = read_policy(args.file.read_bytes())
    except PolicyError as error:
        raise UntrustedDocument("\n  ".join([f"{args.file}:", *error.faults])) from None
    _print(args, policy, "not verified")
    return 0


def verify(args: argparse.Namespace) -> int:
    """Print a policy that its lender signed and that is valid at `--at`. Raises UntrustedDocument, KeysUnusable."""
    from agent.cli.sandbox_lender import load_keys
    from agent.core.policy import PolicyError, verify_policy
    from agent.errors import UntrustedDocument

    at = int(time.time()) if args.at is None else args.at
    keys = load_keys(args.keys, args.root)
    try:
        policy = verify_policy(args.file.read_bytes(), keys, at=at)
    except PolicyError as error:
        raise UntrustedDocument("\n  ".join([f"{args.file}:", *error.faults])) from None
    if at >= policy.expires_at:
        raise UntrustedDocument(f"{args.file}: the policy expired at {_utc(policy.expires_at)}")
    _print(args, policy, "verified")
    return 0


def variables(args: argparse.Namespace) -> int:
    """Print every name that a rule may use."""
    from agent.core.policy_vocabulary import RULE_VARIABLES

    names = sorted(RULE_VARIABLES.items())
    if args.json:
        table = {name: {"type": v.kind, "low": v.low, "high": v.high, "meaning": v.meaning} for name, v in names}
        print(json.dumps(table, ensure_ascii=False, indent=2))
    else:
        print("\n".join(f"{name:32} {v.kind:5} {v.meaning}" for name, v in names))
    return 0


def _print(args: argparse.Namespace, policy: "Policy", verified: str) -> None:
    if args.json:
        print(
            json.dumps({"verified": verified == "verified", "policy": policy.payload()}, ensure_ascii=False, indent=2)
        )
    else:
        print("\n".join(_sentences(policy, verified)))


def _sentences(policy: "Policy", verified: str) -> list[str]:
    from agent.core.policy_vocabulary import LIMITS

    limits = policy.payload()["limits"]
    return [
        f"Policy {policy.version} of lender {policy.lender}, {verified}.",
        f"Issued {_utc(policy.issued_at)}, expires {_utc(policy.expires_at)}.",
        f"Amounts are minor units of {policy.currency}.",
        "",
        "Limits:",
        *(f"  {name:32} {limits[name]:>12}  {limit.meaning}" for name, limit in LIMITS.items()),
        *(f"  floor limit of category {name}      {minor:>12}" for name, minor in sorted(policy.floor_limits.items())),
        "",
        "Rules, in order:",
        *(
            f"  {rule.id:24} {rule.effect:9} {rule.response_code:2}  {rule.reason}\n      when {rule.when}"
            for rule in policy.rules
        ),
    ]


def _utc(at: int) -> str:
    """RFC 3339; the bare number for a time that no calendar holds."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{at} s"
