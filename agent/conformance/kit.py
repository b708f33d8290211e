"""The kit: what a backend's team prepares for the suite, as one JSON file (lane-protocol.md, "The kit").

The one rule: whatever a kit leaves out makes cases be skipped, by the name of what is missing; a kit that contradicts
itself is refused before anything is sent.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from agent.core import credit_pass
from agent.core.cose import CoseError, SigningKey
from agent.errors import CounterfoilError

HOOKS: Final = ("revoke_lane", "replace_lane", "set_limit", "restart", "restored", "rotate_key", "recall", "pay_code")
"""What an operator can do at the backend. Each is told what it needs: lane, lender, account and so on."""

HOOK_TIMEOUT_S: Final = 30
SNAPSHOT_WAIT_S: Final = 30

Hook: TypeAlias = Callable[..., str]


class BadKit(CounterfoilError):
    """The kit cannot be used."""

    code = "conformance_kit"
    hint = "The kit's members are described in agent/protocol/lane-protocol.md, under: The kit."


class HookFailed(Exception):
    """A command of the operator did not do what it is for; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Phone:
    """A customer's test phone: an account of known limit, the lender's credential, and the key that never leaves it."""

    lender: str
    account: bytes
    limit_minor: int
    credential: bytes
    key: SigningKey

    def show_pass(self, *, now_s: int, cti: bytes, user_verified: bool = True) -> str:
        """The text of the QR code at ``now_s``; ``cti`` are 8 fresh bytes."""
        proof = credit_pass.issue_proof(self.credential, credit_pass.Proof(now_s, cti, user_verified), self.key)
        return credit_pass.assemble(self.credential, proof)


@dataclass(frozen=True, slots=True)
class ExpiredLane:
    """An identity of a lane whose certificate is past its time, and whose journal has no entry yet."""

    lane: str
    epoch: int
    certificate_pem: str
    key_pem: str
    journal_key: SigningKey


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet for tests: its rail, and codes that pay at once, stay pending, and are declined, however often shown."""

    rail: str
    pays: str
    pends: str
    declines: str


@dataclass(frozen=True, slots=True)
class Kit:
    """The whole kit. Codes and phones are used up, one after the other; a second run needs a fresh kit."""

    codes: tuple[str, ...]
    phones: tuple[Phone, ...]
    lenders: tuple[str, ...]
    expired_code: str | None = None
    other_merchant_code: str | None = None
    blocked_phone: Phone | None = None
    unknown_phone: Phone | None = None
    twins: tuple[Phone, Phone] | None = None
    expired_lane: ExpiredLane | None = None
    wallet: Wallet | None = None
    coupons: tuple[tuple[Phone, str], ...] = ()
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    snapshot_wait_s: int = SNAPSHOT_WAIT_S


def load(path: Path) -> Kit:
    """Raises BadKit for a file that is not a kit."""
    try:
        return _kit(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, CoseError) as error:
        raise BadKit(f"{path} is not a usable kit: {type(error).__name__}: {error}") from error


def _kit(fields: dict[str, Any]) -> Kit:
    hooks = {name: _shell(line) for name, line in fields.get("hooks", {}).items()}
    if unknown := set(hooks) - set(HOOKS):
        raise ValueError(f"the hooks {', '.join(sorted(unknown))} are not known")
    if not fields["codes"] or not fields["phones"]:
        raise ValueError("a kit has at least one code and one phone")
    return Kit(
        codes=tuple(fields["codes"]),
        phones=tuple(_phone(row) for row in fields["phones"]),
        lenders=tuple(fields["lenders"]),
        expired_code=fields.get("expired_code"),
        other_merchant_code=fields.get("other_merchant_code"),
        blocked_phone=_optional(_phone, fields.get("blocked_phone")),
        unknown_phone=_optional(_phone, fields.get("unknown_phone")),
        twins=_optional(_twins, fields.get("twins")),
        expired_lane=_optional(_expired_lane, fields.get("expired_lane")),
        wallet=_optional(lambda row: Wallet(**row), fields.get("wallet")),
        coupons=tuple((_phone(row["phone"]), row["coupon"]) for row in fields.get("coupons", ())),
        hooks=hooks,
        snapshot_wait_s=int(fields.get("snapshot_wait_s", SNAPSHOT_WAIT_S)),
    )


def _optional(read: Callable[[dict[str, Any]], Any], row: dict[str, Any] | None) -> Any:
    return None if row is None else read(row)


def _phone(row: dict[str, Any]) -> Phone:
    return Phone(
        lender=row["lender"],
        account=bytes.fromhex(row["account"]),
        limit_minor=int(row["limit_minor"]),
        credential=base64.b64decode(row["credential"]),
        key=SigningKey.from_pem(row["key"].encode()),
    )


def _twins(rows: Any) -> tuple[Phone, Phone]:
    """Of two lenders, with one account token."""
    one, other = map(_phone, rows)
    if one.lender == other.lender or one.account != other.account:
        raise ValueError("twins are phones of two lenders with the same account token")
    return one, other


def _expired_lane(row: dict[str, Any]) -> ExpiredLane:
    journal_key = SigningKey.from_pem(row["journal_key"].encode())
    return ExpiredLane(row["lane"], int(row["epoch"]), row["certificate"], row["key"], journal_key)


def _shell(line: str) -> Hook:
    """A shell command as the kit's owner wrote it; {lane} and the like are filled in. Its answer is what it prints."""

    def run(**values: Any) -> str:
        done = subprocess.run(  # noqa: S602  the command is the kit owner's own
            line.format(**values), shell=True, capture_output=True, text=True, check=False, timeout=HOOK_TIMEOUT_S
        )
        if done.returncode:
            raise HookFailed(f"exit code {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
        return done.stdout.strip()

    return run
