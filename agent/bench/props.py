"""What the bench measures with: a lender with keys, phones, the default policy and signed layers, and a lane of it.

The one rule: everything is the product's own, on real files; only the backend is away, so that the lane decides alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import Any, Final, NoReturn

from agent.core import trust
from agent.core.cose import Kind, SigningKey
from agent.core.credit_pass import Credential, Proof, assemble, issue_credential, issue_proof
from agent.core.default_policy import FLOOR_LIMITS, RULES, default_policy
from agent.core.money import Money
from agent.core.policy import parse_policy, sign_policy
from agent.core.receipt import Seller
from agent.core.snapshot_builder import build_layer
from agent.core.snapshot_layer import Record
from agent.core.snapshot_manifest import SNAPSHOT_TYPE, Manifest
from agent.errors import UplinkUnavailable
from agent.lane import Lane, LaneSettings
from agent.ports import Printer
from agent.services.checkout import Order
from agent.services.lenders import EnrolledLender
from agent.services.timekeeping import TIME_TYP
from agent.store.ledger import SqliteLedger
from agent.store.snapshot_files import SnapshotFiles

LANE: Final = "lane-01"
LENDER: Final = "bench"
DAY_S: Final = 86_400
AMOUNT_MINOR: Final = 12
ALLOWANCE_MINOR: Final = 16_000_000
CUSTOMERS: Final = 200
RULES_COUNT: Final = len(RULES)
HIGH: Final = 1_000_000
LIMITS: Final = {
    name: HIGH * (100 if name.endswith("_minor") else 1)
    for scope in ("account", "lane")
    for bound in ("lower", "upper")
    for name in (f"{scope}_consecutive_{bound}", f"{scope}_cumulative_{bound}_minor")
} | {"proof_fresh_s": 300, "velocity_count_max": HIGH, "round_unit_minor": HIGH}
"""High enough that no number of decisions meets them: every rule is asked, and each sale is approved."""


def private_key(name: str, kind: Kind = "ed25519") -> SigningKey:
    return SigningKey.from_seed(kind, name.encode().ljust(32, b"."))


@dataclass(frozen=True, slots=True)
class Phone:
    """A customer's phone: shows a fresh code, of the kind of signatures that it was made for."""

    account: bytes
    key: SigningKey
    credential: bytes

    def code(self, now_s: int) -> str:
        proof = Proof(now_s, os.urandom(8), user_verified=True, counter=None)
        return assemble(self.credential, issue_proof(self.credential, proof, self.key))


@dataclass(frozen=True, slots=True)
class Lender:
    """Signs whatever a lane takes, from ``now_s`` on. ``kind`` are the signatures of credentials and phones."""

    now_s: int
    kind: Kind = "ed25519"

    def key(self, role: trust.Role) -> SigningKey:
        return private_key(f"{role}", self.kind if role is trust.Role.CREDENTIAL else "ed25519")

    @property
    def key_list(self) -> trust.KeyList:
        begin, end = self.now_s - DAY_S, self.now_s + 400 * DAY_S
        keys = {role: self.key(role).public for role in trust.Role}
        entries = tuple(trust.KeyEntry(key.kid, key, role, begin, end) for role, key in keys.items())
        return trust.KeyList(LENDER, 1, self.now_s - 10, end, entries, "CNY")

    def enrolled(self) -> EnrolledLender:
        root = private_key("root")
        return EnrolledLender(LENDER, "Bench", root.public, trust.sign_key_list(self.key_list, root))

    def policy(self) -> bytes:
        end = self.now_s + 90 * DAY_S
        payload = default_policy(LENDER, version=1, issued_at=self.now_s - 100, expires_at=end)
        payload["limits"] |= LIMITS
        payload["floor_limits"] = dict.fromkeys(FLOOR_LIMITS, HIGH)
        return sign_policy(parse_policy(payload), self.key(trust.Role.POLICY))

    def phone(self, account: bytes) -> Phone:
        key = private_key("phone", self.kind)
        begin, end = self.now_s - 3600, self.now_s + DAY_S
        credential = Credential(LENDER, account, begin, end, key.public, 0, tier=3)
        return Phone(account, key, issue_credential(credential, self.key(trust.Role.CREDENTIAL)))

    def signed_time(self, nonce: bytes) -> bytes:
        payload = {"lender": LENDER, "nonce": nonce, "time": self.now_s}
        return trust.sign_document(payload, self.key(trust.Role.TIME), TIME_TYP)

    def cut_layer(self, path: Path, accounts: Sequence[bytes]) -> None:
        """A signed base layer at ``path`` with a lease for each account. ``accounts`` in ascending order."""
        records = (Record(token, ALLOWANCE_MINOR, self.now_s + 2 * DAY_S, tier=3) for token in accounts)
        sign = partial(trust.sign_document, key=self.key(trust.Role.SNAPSHOT), typ=SNAPSHOT_TYPE)
        with path.open("wb") as file:
            build_layer(records, len(accounts), _manifest(self.now_s), sign, file)


def _manifest(now_s: int) -> Manifest:
    return Manifest(
        lender=LENDER,
        merchant="m1",
        store="s1",
        lane=LANE,
        lease_epoch=1,
        sequence=1,
        base_sequence=1,
        below=None,
        built_at=now_s,
        soft_age_s=3 * DAY_S,
        hard_age_s=6 * DAY_S,
        applied_through={LANE: (1, 0)},
        currency="CNY",
        policy_version=1,
        origin=(39_904_200, 116_407_400),
    )


class NoBackend:
    """``ports.Backend`` with the line cut: the lane decides alone."""

    available = False

    async def authorize(self, _request: Mapping[str, Any], _budget_s: float) -> NoReturn:
        raise UplinkUnavailable("the bench has no backend")

    async def inquire(self, _lender: str, _sale_id: str, _attempt: int, _budget_s: float) -> NoReturn:
        raise UplinkUnavailable("the bench has no backend")

    async def refund(self, _request: Mapping[str, Any], _budget_s: float) -> NoReturn:
        raise UplinkUnavailable("the bench has no backend")

    async def settle(self, _body: Mapping[str, Any]) -> NoReturn:
        raise UplinkUnavailable("the bench has no backend")

    async def open_epoch(self, _body: Mapping[str, Any]) -> NoReturn:
        raise UplinkUnavailable("the bench has no backend")

    def poke(self) -> None:
        """Nobody waits for new entries."""


class BenchClock:
    """Wall and monotonic time that stand still, so that prepared codes stay fresh."""

    def __init__(self) -> None:
        self._now_s = int(time.time())

    def wall_s(self) -> int:
        return self._now_s

    def monotonic_s(self) -> float:
        return 1_000.0


class Till:
    """A lane with its ledger and one installed layer below ``directory``, ready to stand in."""

    def __init__(
        self, directory: Path, *, accounts: int = 1_000, vfs: str | None = None, printer: Printer | None = None
    ) -> None:
        self.clock = BenchClock()
        self.lender = Lender(self.clock.wall_s())
        self.accounts = sorted(os.urandom(16) for _ in range(accounts))
        self._phones = cycle([self.lender.phone(account) for account in self.accounts[:CUSTOMERS]])
        self.ledger = SqliteLedger.open(str(directory / "ledger.db"), vfs=vfs)
        self._sale_numbers = count(1)
        self.lane = Lane(
            LaneSettings(LANE, "s1", 1, Seller("示例超市 Example Market", "人民路店", LANE), bytes(32)),
            [self.lender.enrolled()],
            private_key("journal", "p256"),
            ledger=self.ledger,
            snapshots=SnapshotFiles(directory / "snapshots"),
            backend=NoBackend(),
            printer=printer,
            clock=self.clock,
            random_bytes=os.urandom,
            free_bytes=lambda: 10**12,
        )
        self._receive_documents(directory)

    def _receive_documents(self, directory: Path) -> None:
        nonce = self.lane.forwarding.ask_time(LENDER)
        assert self.lane.forwarding.signed_time(LENDER, nonce, self.lender.signed_time(nonce))
        assert self.lane.lenders.install_policy(LENDER, self.lender.policy())
        layer = directory / "1.layer"
        self.lender.cut_layer(layer, self.accounts)
        assert self.lane.lenders.install_snapshot(LENDER, [(1, str(layer))])

    def code(self) -> str:
        """A fresh code of the next customer: nobody shops so often that a sum over his sales would show."""
        return next(self._phones).code(self.clock.wall_s())

    def order(self) -> Order:
        return Order(f"sale-{next(self._sale_numbers):08}", Money(AMOUNT_MINOR, "CNY"), "5411")

    async def sell(self, code: str) -> None:
        """One whole decision, from the code to the durable outcome."""
        hold = await self.lane.checkout.sell(self.order(), code)
        assert hold.is_approved, hold.reason

    def maintain(self) -> None:
        self.ledger.maintain(dict.fromkeys(self.ledger.head.horizons, self.clock.wall_s()))

    def close(self) -> None:
        self.ledger.close()
