"""`counterfoil pass issue|show|verify|image`: make, explain, check and draw credit passes.

The rule: works while the agent is stopped; issues with the keys of a sandbox lender only; `show` believes nothing.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.options import add_action

if TYPE_CHECKING:
    from agent.core.credit_pass import ParsedPass, PassRejected
    from agent.core.trust import KeyList

ACCEPTED, REFUSED = 0, 1
CREDENTIAL_LIFE_S = 24 * 3600
UNVERIFIED = "Nothing below is verified: whoever made this code can claim anything."
ACCOUNT_EXAMPLE = "000102030405060708090a0b0c0d0e0f"
CODE_HELP = "the text of the QR code; - reads it from standard input"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `pass`."""
    parser = subparsers.add_parser("pass", help="make, explain, check or draw a credit pass (sandbox lenders only)")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_issue(
        add_action(actions, "issue", issue, "print a pass of a sandbox lender, or make such a lender with --init")
    )
    add_action(actions, "show", show, "explain every field without verifying anything").add_argument(
        "code", help=CODE_HELP
    )
    action = add_action(actions, "verify", verify, "check signatures, validity and freshness; exit code 1 if refused")
    action.add_argument("code", help=CODE_HELP)
    action.add_argument("--keys", type=Path, required=True, help="directory of a sandbox lender, or a signed key list")
    action.add_argument("--root", type=Path, help="public root key (COSE_Key) for a key list that is a file")
    action.add_argument("--at", type=int, help="time of the scan, UTC seconds (default: now)")
    action = add_action(actions, "image", image, "draw the QR code in the terminal, or as a PNG with --out")
    action.add_argument("code", help=CODE_HELP)
    action.add_argument("--out", type=Path, metavar="FILE.png", help="write a PNG")
    action.add_argument("--module-px", type=int, default=6, choices=range(1, 41), metavar="1-40", help="default: 6")


def _add_issue(action: argparse.ArgumentParser) -> None:
    where = action.add_mutually_exclusive_group(required=True)
    where.add_argument("--init", type=Path, metavar="DIR", help="make a sandbox lender in DIR")
    where.add_argument("--keys", type=Path, metavar="DIR", help="issue a pass of the sandbox lender in DIR")
    action.add_argument("--lender", default="sandbox", help="with --init: lender id, at most 16 characters")
    action.add_argument("--currency", default="CNY", help="with --init: ISO 4217 code")
    action.add_argument("--kind", choices=("ed25519", "p256"), default="ed25519", help="with --init: kind of keys")
    action.add_argument("--account", type=_account_token, default=ACCOUNT_EXAMPLE, help="account token, 32 hex digits")
    action.add_argument("--cap-minor", type=int, default=0, help="offline cap in minor units (default: 0)")
    action.add_argument("--tier", type=int, default=0, help="customer tier, 0 to 7 (default: 0)")
    action.add_argument(
        "--valid-s", type=int, default=CREDENTIAL_LIFE_S, help="life of the credential (default: a day)"
    )
    action.add_argument("--at", type=int, help="time of issue and of the phone, UTC seconds (default: now)")
    action.add_argument("--user-verified", action="store_true", help="the phone has verified its user for this code")
    action.add_argument("--counter", type=int, help="counter of the phone (default: none)")


def issue(args: argparse.Namespace) -> int:
    """Print the text of a fresh pass, or make a sandbox lender. Raises KeysUnusable."""
    from agent.cli import sandbox_lender
    from agent.core import credit_pass

    at = _at(args)
    if args.init is not None:
        keys = sandbox_lender.create(args.init, lender=args.lender, currency=args.currency, kind=args.kind, now_s=at)
        made = {"lender": keys.lender, "directory": str(args.init), "expires_at": keys.expires_at}
        _print(args, made, f"Sandbox lender {keys.lender} made in {args.init}, valid until {_utc(keys.expires_at)}.")
        return ACCEPTED
    lender = sandbox_lender.load(args.keys)
    try:
        credential = credit_pass.Credential(
            lender.keys.lender, args.account, at, at + args.valid_s, lender.phone_key.public, args.cap_minor, args.tier
        )
        df01 = credit_pass.issue_credential(credential, lender.credential_key)
        proof = credit_pass.Proof(at, os.urandom(8), args.user_verified, args.counter)
        code = credit_pass.assemble(df01, credit_pass.issue_proof(df01, proof, lender.phone_key), lender.keys.aid)
    except credit_pass.PassRejected as rejected:
        return _refused(args, rejected)
    _print(args, {"code": code, "characters": len(code)}, code)
    return ACCEPTED


def show(args: argparse.Namespace) -> int:
    """Explain a code field by field."""
    from agent.core import credit_pass

    try:
        fields = _fields(credit_pass.parse(_code(args)))
    except credit_pass.PassRejected as rejected:
        return _refused(args, rejected)
    record = {"verified": False, **{field.name: field.value for field in fields}}
    _print(args, record, "\n".join([UNVERIFIED, *(field.sentence for field in fields)]))
    return ACCEPTED


def explain(code: str) -> list[str]:
    """What a code says of itself, in sentences; or the one why it is no pass. Verifies nothing."""
    from agent.core import credit_pass

    try:
        return [UNVERIFIED, *(field.sentence for field in _fields(credit_pass.parse(code)))]
    except credit_pass.PassRejected as rejected:
        return [_refusal(rejected)]


def verify(args: argparse.Namespace) -> int:
    """Say whether a lane that trusts these keys would take the code as a pass. Raises KeysUnusable."""
    from agent.core import credit_pass

    keys, at, code = _keys(args), _at(args), _code(args)
    try:
        verified = credit_pass.verify(code, {keys.lender: keys}, scanned_at=at)
        fields = _fields(credit_pass.parse(code))
    except credit_pass.PassRejected as rejected:
        return _refused(args, rejected)
    result = f"Verified at {_utc(at)}: a pass of {verified.credential.lender}, amounts in {keys.currency}."
    record = {"verified": True, "currency": keys.currency, **{field.name: field.value for field in fields}}
    _print(args, record, "\n".join([result, *(field.sentence for field in fields)]))
    return ACCEPTED


def image(args: argparse.Namespace) -> int:
    """Draw any text that fits a QR code; a pass is not verified. Raises CodeTooLong, OSError."""
    from agent.cli import pictures

    code = _code(args)
    symbol = pictures.draw(code)
    record = {"version": symbol.designator, "characters": len(code), "file": str(args.out) if args.out else None}
    if args.out is None:
        _print(args, record, pictures.text(symbol))
        return ACCEPTED
    pictures.save_png(symbol, args.out, module_px=args.module_px)
    _print(args, record, f"{args.out}: QR version {symbol.designator}, {len(code)} characters.")
    return ACCEPTED


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    value: str | int | bool | None
    sentence: str


def _fields(parsed: "ParsedPass") -> list[_Field]:
    """What a pass says, in the order of its two parts."""
    credential, proof = parsed.credential, parsed.proof
    fits = parsed.proof_binding == parsed.binding
    counter = "no counter" if proof.counter is None else f"number {proof.counter}"
    user = "The phone verified its user" if proof.user_verified else "The phone did not verify its user"
    begin, end, made = (_utc(at) for at in (credential.nbf_at, credential.exp_at, proof.issued_at))
    cap, phone, cti = credential.cap_minor, credential.phone_key, proof.cti.hex()
    return [
        _Field("aid", parsed.aid.hex(), f"The code is for application {parsed.aid.hex()}, label {parsed.label!r}."),
        _Field("lender", credential.lender, f"The lender is {credential.lender!r}."),
        _Field("kid", parsed.kid.hex(), f"Key {parsed.kid.hex()} of the lender signed the credential."),
        _Field("account", credential.account.hex(), f"The account token is {credential.account.hex()}."),
        _Field("nbf_at", credential.nbf_at, f"The credential is valid from {begin}"),
        _Field("exp_at", credential.exp_at, f"  until before {end}."),
        _Field("phone_key", phone.kid.hex(), f"It belongs to the phone with the {phone.kind} key {phone.kid.hex()}."),
        _Field("cap_minor", cap, f"Offline, without an allowance, it is good for {cap} minor units."),
        _Field("tier", credential.tier, f"The customer is of tier {credential.tier}."),
        _Field(
            "purpose_bound",
            credential.purpose_bound,
            f"The credit is {'' if credential.purpose_bound else 'not '}bound to a purpose.",
        ),
        _Field("issued_at", proof.issued_at, f"The phone made this code at {made}, by its own clock."),
        _Field("cti", cti, f"The code is good once, under the id {cti}."),
        _Field("user_verified", proof.user_verified, f"{user} for this code."),
        _Field("counter", proof.counter, f"The code carries {counter} of this phone."),
        _Field("binding_fits", fits, f"The proof names {'this' if fits else 'ANOTHER'} credential."),
    ]


def _refused(args: argparse.Namespace, rejected: "PassRejected") -> int:
    reason, code = str(rejected.reason), rejected.response_code
    record = {"verified": False, "reason": reason, "response_code": code, "detail": rejected.detail}
    _print(args, record, _refusal(rejected))
    return REFUSED


def _refusal(rejected: "PassRejected") -> str:
    return f"Refused, {rejected.reason} (response code {rejected.reason.response_code}): {rejected.detail}"


def _account_token(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise argparse.ArgumentTypeError("an account token is written in hexadecimal digits") from None


def _keys(args: argparse.Namespace) -> "KeyList":
    from agent.cli import sandbox_lender

    if args.keys.is_dir():
        return sandbox_lender.load_keys(args.keys / sandbox_lender.KEY_LIST, args.keys / sandbox_lender.ROOT_PUBLIC)
    if args.root is None:
        raise sandbox_lender.KeysUnusable(f"{args.keys}: a key list needs the lender's public root key, --root FILE")
    return sandbox_lender.load_keys(args.keys, args.root)


def _code(args: argparse.Namespace) -> str:
    """The code of the command line or of standard input, without the line ending that comes with it."""
    if args.code != "-":
        return str(args.code)
    return sys.stdin.buffer.read().decode("utf-8", "replace").strip()


def _at(args: argparse.Namespace) -> int:
    return int(time.time()) if args.at is None else int(args.at)


def _print(args: argparse.Namespace, record: Mapping[str, object], sentence: str) -> None:
    print(json.dumps(record, ensure_ascii=False) if args.json else sentence)


def _utc(at: int) -> str:
    """RFC 3339; the bare number for a time that no calendar holds."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{at} s"
