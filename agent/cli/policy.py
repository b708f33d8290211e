"""`counterfoil policy show|verify|explain|test|variables`: what a policy says, and whether to believe it.

The rule: works while the agent is stopped and changes nothing; `show` says that it verified nothing.
"""

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.options import add_action
from agent.texts import LANGUAGES, Language, meaning

if TYPE_CHECKING:
    from agent.core.policy import Policy


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `policy`."""
    parser = subparsers.add_parser("policy", help="explain or verify a lender's policy")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    action = add_action(actions, "show", show, "explain a policy file without verifying its signature")
    action.add_argument("file", metavar="FILE", type=Path)
    action.add_argument("--language", choices=LANGUAGES, default="en", help="of the meanings (default: en)")
    action = add_action(actions, "verify", verify, "check signature, role, validity and content of a policy file")
    action.add_argument("file", metavar="FILE", type=Path)
    action.add_argument("--keys", type=Path, required=True, help="the lender's signed key list")
    action.add_argument("--root", type=Path, required=True, help="the lender's public root key (COSE_Key)")
    action.add_argument("--at", type=int, help="judge validity at this time, UTC seconds (default: now)")
    action = add_action(actions, "explain", explain, "each rule in words, with its limits' values")
    action.add_argument("file", metavar="FILE", type=Path, help="a policy, signed or as JSON")
    action.add_argument("--language", choices=LANGUAGES, default="en")
    action = add_action(actions, "test", run_cases, "try a table of cases (docs/policy-cases.csv shows one)")
    action.add_argument("file", metavar="CASES", type=Path)
    action.add_argument(
        "--policy", type=Path, help="a policy, signed or as JSON (default: the one that lenders begin with)"
    )
    action = add_action(actions, "variables", variables, "list the names that a rule may use, with type and meaning")
    action.add_argument("--language", choices=LANGUAGES, default="en")


def show(args: argparse.Namespace) -> int:
    """Print a policy, unverified. Raises UntrustedDocument with all faults if the content is no policy."""
    _print(args, _read(args.file), "not verified")
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


def explain(args: argparse.Namespace) -> int:
    """Print each rule in words. Raises UntrustedDocument with all faults."""
    from agent.cli.policy_words import explained

    policy = _read(args.file)
    if args.json:
        _print(args, policy, "not verified")
    else:
        print("\n".join(explained(policy, args.language)))
    return 0


def run_cases(args: argparse.Namespace) -> int:
    """Exit code 1 and a table of differences if the policy answers otherwise. Raises DraftUnusable."""
    from agent.cli.policy_words import difference_table
    from agent.core.default_policy import default_policy
    from agent.core.policy import parse_policy
    from agent.core.policy_cases import CasesError, differences, read_cases
    from agent.errors import DraftUnusable

    begins, ends = 1_800_000_000, 1_900_000_000
    standard = parse_policy(default_policy("lender", version=1, issued_at=begins, expires_at=ends))
    policy = _read(args.policy) if args.policy else standard
    try:
        cases = read_cases(args.file.read_text("utf-8"), policy)
    except UnicodeDecodeError:
        raise DraftUnusable(f"{args.file} is no text in UTF-8") from None
    except CasesError as error:
        raise DraftUnusable("\n  ".join([f"{args.file}:", *error.faults])) from None
    found = list(differences(cases, policy))
    if args.json:
        rows = [
            {"line": row.case.line, "case": row.case.name, "column": row.column}
            | {"expected": row.expected, "answered": row.answered}
            for row in found
        ]
        print(json.dumps({"cases": len(cases), "differences": rows}, ensure_ascii=False, indent=2))
    else:
        print("\n".join(difference_table(cases, found)))
    return 1 if found else 0


def variables(args: argparse.Namespace) -> int:
    """Print every name that a rule may use."""
    from agent.core.policy_vocabulary import RULE_VARIABLES

    names = sorted(RULE_VARIABLES.items())
    said = {name: meaning(args.language, name, variable.meaning) for name, variable in names}
    if args.json:
        table = {name: {"type": v.kind, "low": v.low, "high": v.high, "meaning": said[name]} for name, v in names}
        print(json.dumps(table, ensure_ascii=False, indent=2))
    else:
        print("\n".join(f"{name:32} {v.kind:5} {said[name]}" for name, v in names))
    return 0


def _read(path: Path) -> "Policy":
    """A policy whose signature is not asked for, signed or as the JSON that a lender publishes."""
    from agent.core.policy import PolicyError, parse_policy, read_policy
    from agent.errors import DraftUnusable, UntrustedDocument

    data = path.read_bytes()
    try:
        if not data.lstrip().startswith(b"{"):
            return read_policy(data)
        return parse_policy(json.loads(data))
    except PolicyError as error:
        kind = DraftUnusable if data.lstrip().startswith(b"{") else UntrustedDocument
        raise kind("\n  ".join([f"{path}:", *error.faults])) from None
    except (ValueError, RecursionError) as error:
        raise DraftUnusable(f"{path} is no JSON document: {error}") from None


def _print(args: argparse.Namespace, policy: "Policy", verified: str) -> None:
    if args.json:
        print(
            json.dumps({"verified": verified == "verified", "policy": policy.payload()}, ensure_ascii=False, indent=2)
        )
    else:
        print("\n".join(_sentences(policy, verified, getattr(args, "language", "en"))))


def _sentences(policy: "Policy", verified: str, language: "Language") -> list[str]:
    from agent.core.policy_vocabulary import LIMITS

    limits = policy.payload()["limits"]
    return [
        f"Policy {policy.version} of lender {policy.lender}, {verified}.",
        f"Issued {_utc(policy.issued_at)}, expires {_utc(policy.expires_at)}.",
        f"Amounts are minor units of {policy.currency}.",
        "",
        "Limits:",
        *(
            f"  {name:32} {limits[name]:>12}  {meaning(language, name, limit.meaning)}"
            for name, limit in LIMITS.items()
        ),
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
