"""``counterfoil-backend``: run the reference backend, and look after it.

The one rule: the database has one process. While the server runs, the other verbs say so and change nothing; only
``pass issue`` works beside it, because a phone needs nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from backend import accounts, allowances, audit, demo_data, enrollment, lanes, lenders
from backend.accounts import AccountRefused
from backend.compose import Backend, compose
from backend.database import DatabaseUnavailable, open_database, transaction
from backend.identity import Authority, IdentityError
from backend.problems import Problem
from backend.schema import Account, Hold
from backend.snapshots import Plan

_HOLD_COLUMNS = ("lender", "sale_id", "attempt", "state", "amount_minor")
Verb = Callable[[argparse.Namespace], int]


class UsageError(Exception):
    """What was asked for cannot be done; the message is a sentence."""


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, 1 for a refusal with a sentence on stderr, 2 for wrong usage."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (UsageError, AccountRefused, DatabaseUnavailable, IdentityError, Problem, OSError) as error:
        print(f"counterfoil-backend: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _init(args: argparse.Namespace) -> int:
    directory = args.dir
    if (directory / "backend.db").exists():
        raise UsageError(f"{directory} holds a backend already")
    directory.mkdir(parents=True, exist_ok=True)
    now_s = int(time.time())
    authority = Authority.create(now_s)
    server_key, server_certificate = authority.issue_server(args.name, now_s)
    for name, data in (("ca.key", authority.key_pem), ("server.key", server_key)):
        _write_private(directory / name, data)
    (directory / "ca.crt").write_bytes(authority.certificate_pem)
    (directory / "server.crt").write_bytes(server_certificate)
    with closing(open_database(str(directory / "backend.db"))) as database, transaction(database):
        lenders.create(args.lender, args.lender_name, args.currency, now_s=now_s, randomness=secrets.token_bytes)
    _show(args, {"directory": str(directory), "lender": args.lender})
    return 0


def _serve(args: argparse.Namespace) -> int:
    from backend.server import serve

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    with closing(_open(args)) as opened:
        asyncio.run(serve(opened.backend, args.dir, args.host, args.port, refresh_s=args.refresh_s))
    return 0


def _account_add(args: argparse.Namespace) -> int:
    if args.token and args.count > 1:
        raise UsageError("one token is one account: leave out --token or --count")
    with closing(_open(args)) as opened:
        opened_accounts = [_new_account(args, opened) for _ in range(args.count)]
    _show(args, {"accounts": opened_accounts} if args.count > 1 else opened_accounts[0])
    return 0


def _new_account(args: argparse.Namespace, opened: _Opened) -> dict[str, Any]:
    token = args.token or secrets.token_bytes(16)
    with transaction(opened.backend.database):
        accounts.add(opened.lender(args).lender, token, args.limit_minor, tier=args.tier)
    _issue_phone(args, opened, token)
    return {"account": token.hex(), "limit_minor": args.limit_minor}


def _account_show(args: argparse.Namespace) -> int:
    with closing(_open(args)) as opened:
        lender = opened.lender(args)
        found = [_account(lender.lender, args.token)] if args.token else list(accounts.every(lender.lender))
        _show(args, {"accounts": [_account_to_json(account) for account in found]})
    return 0


def _account_limit(args: argparse.Namespace) -> int:
    with closing(_open(args)) as opened, transaction(opened.backend.database):
        account = _account(opened.lender(args).lender, args.token)
        promised = sum(allowances.outstanding_by_lane(account.lender, account.token).values())
        accounts.set_limit(account, args.limit_minor, outstanding_minor=promised)
        _show(args, _account_to_json(account))
    return 0


def _account_block(args: argparse.Namespace) -> int:
    with closing(_open(args)) as opened, transaction(opened.backend.database):
        account = _account(opened.lender(args).lender, args.token)
        accounts.set_blocked(account, not args.lift)
        _show(args, _account_to_json(account))
    return 0


def _enroll_code(args: argparse.Namespace) -> int:
    lane = enrollment.NewLane(args.lane, args.store, args.merchant, args.merchant_name, args.category, args.currency)
    with closing(_open(args)) as opened, transaction(opened.backend.database):
        backend = opened.backend
        code = enrollment.create_code(lane, backend.authority, now_s=backend.clock(), randomness=backend.randomness)
    _show(args, {"lane": args.lane, "code": code})
    return 0


def _snapshot_build(args: argparse.Namespace) -> int:
    with closing(_open(args)) as opened:
        _show(args, {"layers": opened.backend.refresh_snapshots()})
    return 0


def _pass_issue(args: argparse.Namespace) -> int:
    path = _phone_path(args, args.token)
    if args.renew or not path.exists():
        with closing(_open(args)) as opened:
            _issue_phone(args, opened, args.token)
    phone = demo_data.Phone.from_json(path.read_text())
    code = phone.show_pass(now_s=int(time.time()), cti=secrets.token_bytes(8), user_verified=args.verified)
    _show(args, {"code": code}) if args.json else print(code)
    return 0


def _lane_show(args: argparse.Namespace) -> int:
    with closing(_open(args)):
        lane = lanes.journal(args.lane, lanes.find(args.lane).epoch)
        holds = Hold.select().where(Hold.lane == args.lane).order_by(Hold.sale_id, Hold.attempt)
        sales = [{name: getattr(hold, name) for name in _HOLD_COLUMNS} for hold in holds]
        _show(args, {"epoch": lane.epoch, "number": lane.number, "head": bytes(lane.hash).hex(), "sales": sales})
    return 0


def _audit(args: argparse.Namespace) -> int:
    with closing(_open(args)) as opened:
        findings = list(audit.findings(opened.backend.lenders))
        disputes = list(audit.disputes())
        _show(args, {"findings": findings, "disputes": disputes})
        if not (findings or disputes or args.json):
            print("every limit, hold and chain is as it should be")
    return 1 if findings else 0


class _Opened:
    """The backend of a directory, to be closed."""

    def __init__(self, args: argparse.Namespace) -> None:
        if not (args.dir / "backend.db").exists():
            raise UsageError(f"{args.dir} holds no backend; make one with: counterfoil-backend init --dir {args.dir}")
        authority = Authority.from_pem((args.dir / "ca.key").read_bytes(), (args.dir / "ca.crt").read_bytes())
        self.backend: Backend = compose(
            open_database(str(args.dir / "backend.db")),
            clock=lambda: int(time.time()),
            randomness=secrets.token_bytes,
            authority=authority,
            plan=Plan(getattr(args, "allowance_minor", 0)),
        )

    def lender(self, args: argparse.Namespace) -> lenders.Lender:
        """The lender that was named, or the only one."""
        return self.backend.lender(args.lender or next(iter(self.backend.lenders)))

    def close(self) -> None:
        self.backend.database.close()


def _open(args: argparse.Namespace) -> _Opened:
    return _Opened(args)


def _account(lender: str, token: bytes) -> Account:
    account = accounts.find(lender, token)
    if account is None:
        raise UsageError(f"the lender {lender} has no account {token.hex()}")
    return account


def _account_to_json(account: Account) -> dict[str, Any]:
    state = audit.account_state(account)
    names = ("limit_minor", "used_minor", "held_minor", "outstanding_minor", "available_minor", "cap_minor")
    return {"account": state.token.hex(), **{name: getattr(state, name) for name in names}, "blocked": account.blocked}


def _issue_phone(args: argparse.Namespace, opened: _Opened, token: bytes) -> None:
    phone = demo_data.issue_phone(
        opened.lender(args),
        token,
        now_s=opened.backend.clock(),
        randomness=secrets.token_bytes,
        cap_minor=args.cap_minor,
        tier=args.tier,
    )
    path = _phone_path(args, token)
    path.parent.mkdir(exist_ok=True)
    _write_private(path, phone.to_json().encode())


def _phone_path(args: argparse.Namespace, token: bytes) -> Path:
    path: Path = args.dir / "phones" / f"{token.hex()}.json"
    return path


def _write_private(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


def _show(args: argparse.Namespace, answer: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
        return
    for name, value in answer.items():
        lines = value if isinstance(value, list) else [value]
        for line in lines:
            shown = " ".join(f"{k}={v}" for k, v in line.items()) if isinstance(line, dict) else line
            print(f"{name}: {shown}")


def _token(text: str) -> bytes:
    token = bytes.fromhex(text)
    if len(token) != 16:
        raise ValueError
    return token


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--dir", type=Path, required=True, help="directory of this backend")
    common.add_argument("--lender", help="lender id (default: the only one)")
    common.add_argument("--json", action="store_true", help="answer in JSON")
    parser = argparse.ArgumentParser("counterfoil-backend", description="The reference authorization backend.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(into: Any, name: str, run: Verb, about: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = into.add_parser(name, parents=[common], help=about, description=about)
        added.set_defaults(run=run)
        return added

    def group(name: str, about: str) -> Any:
        return verbs.add_parser(name, help=about).add_subparsers(required=True, metavar="VERB")

    init = verb(verbs, "init", _init, "make a backend with one lender in an empty directory")
    init.set_defaults(lender=demo_data.DEMO_LENDER)
    init.add_argument("--lender-name", default=demo_data.DEMO_NAME)
    init.add_argument("--currency", default="CNY")
    init.add_argument("--name", action="append", default=["localhost", "127.0.0.1", "::1"], help="host name or address")
    serve = verb(verbs, "serve", _serve, "answer lanes over mutual TLS")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8443)
    serve.add_argument("--refresh-s", type=float, default=60.0, help="how often snapshots are looked after")
    build = verb(group("snapshot", "snapshots of lanes"), "build", _snapshot_build, "cut the layers that lanes need")
    for granting in (serve, build):
        granting.add_argument("--allowance-minor", type=int, default=20_000, help="lease per account and lane")
    _account_verbs(verb, group("account", "accounts"))
    code = verb(verbs, "enroll-code", _enroll_code, "a one-time code for a new lane")
    for option, default in (("--lane", None), ("--store", "store-1"), ("--merchant", "merchant-1")):
        code.add_argument(option, default=default, required=default is None)
    for option, default in (("--merchant-name", "示例超市"), ("--category", "5411"), ("--currency", "CNY")):
        code.add_argument(option, default=default)
    issue = verb(group("pass", "credit passes"), "issue", _pass_issue, "the code that a test phone shows now")
    issue.add_argument("token", type=_token, metavar="ACCOUNT")
    issue.add_argument("--verified", action="store_true", help="the phone has verified its user")
    issue.add_argument("--renew", action="store_true", help="a new phone key and credential first")
    _credential_options(issue)
    lane = verb(group("lane", "lanes"), "show", _lane_show, "where a lane's journal ends here, and its sales")
    lane.add_argument("lane", metavar="LANE")
    verb(verbs, "audit", _audit, "check limits, holds and chains; list what people must look at")
    return parser


def _account_verbs(verb: Callable[..., argparse.ArgumentParser], into: Any) -> None:
    add = verb(into, "add", _account_add, "open an account and give it a test phone")
    add.add_argument("--token", type=_token, metavar="HEX", help="16 bytes in hex (default: random)")
    add.add_argument("--count", type=int, default=1, help="how many accounts to open")
    add.add_argument("--limit-minor", type=int, required=True)
    _credential_options(add)
    show = verb(into, "show", _account_show, "the books of one account, or of all")
    show.add_argument("token", type=_token, nargs="?", metavar="ACCOUNT")
    limit = verb(into, "limit", _account_limit, "set an account's limit")
    limit.add_argument("token", type=_token, metavar="ACCOUNT")
    limit.add_argument("--limit-minor", type=int, required=True)
    block = verb(into, "block", _account_block, "block an account")
    block.add_argument("token", type=_token, metavar="ACCOUNT")
    block.add_argument("--lift", action="store_true", help="unblock it")


def _credential_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cap-minor", type=int, default=0, help="offline cap that the credential states")
    parser.add_argument("--tier", type=int, default=1)


if __name__ == "__main__":
    sys.exit(main())
