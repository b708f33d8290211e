"""The real backend on a disk in memory, with customers, and a process that can die.

The one rule: what the backend has not committed it never knew; every crash ends in a power cut of its disk.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeAlias

from playhouse.apsw_ext import APSWDatabase

from agent.conformance.enrollment import Applicant
from agent.core import cbor
from agent.core.cose import PublicKey, SigningKey
from agent.core.credit_pass import Credential, issue_credential
from agent.core.default_policy import default_policy
from agent.core.money import MINOR_MAX
from agent.core.trust import Role
from agent.services.lenders import EnrolledLender
from agent.simulation.disk import Disk, DiskVfs, Survivors
from agent.simulation.network import Network
from backend import accounts, allowances, enrollment, holds, lenders, recovery, reports, rotation
from backend.admin import coupons, leases
from backend.api import create_app
from backend.compose import Backend, compose
from backend.database import close, open_database, transaction
from backend.demo_data import Phone
from backend.events import Hub
from backend.identity import Authority, LaneName
from backend.schema import Hold
from backend.snapshots import Plan
from backend.wire import Amount, AuthorizationRequest, Enrollment, b64url, from_b64url, rfc3339

LENDER: Final = "sim"
CURRENCY: Final = "CNY"
CATEGORY: Final = "5411"
PATH: Final = "/backend.db"
POSTED_AT_ONCE: Final = 1_000
WEB: Final = LaneName("web", "merchant-1", "web")
"""Purchases elsewhere: they ask the backend, hold no lease and keep no journal here."""

_CSR: Final = Applicant.new().csr_pem
"""Of any key: the lines of a simulation end without TLS, and ask for no certificate."""

GENEROUS: Final = {
    "account_consecutive_lower": 100_000,
    "account_consecutive_upper": 100_000,
    "account_cumulative_lower_minor": 10**9,
    "account_cumulative_upper_minor": 10**9,
    "lane_consecutive_lower": 100_000,
    "lane_consecutive_upper": 100_000,
    "lane_cumulative_lower_minor": 10**9,
    "lane_cumulative_upper_minor": 10**9,
    "captures_max": 3,
    "hold_valid_s": 3600,
}
"""The policy must not be what keeps an account below its limit here; the leases must."""


Credit: TypeAlias = tuple[str, bytes]
"""Lender and token: one account. The lenders of a run have accounts of the same tokens, so the token alone is none."""


@dataclass(frozen=True, slots=True)
class Customer:
    """An account of a lender and the phone that pays from it; ``limit_minor`` is the highest that it has in a run."""

    lender: str
    phone: Phone
    limit_minor: int

    @property
    def account(self) -> bytes:
        return self.phone.account

    @property
    def key(self) -> Credit:
        return self.lender, self.account


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the database's files, and which repayments are in its books (sums, minor units)."""

    files: dict[str, bytes]
    booked_minor: Counter[Credit]


class BackendProcess:
    """``boot`` and ``crash`` as often as wanted. What it does by itself (snapshots, repayments) are methods here."""

    def __init__(self, random: Random, network: Network, plan: Plan, clock: Callable[[], int]) -> None:
        self._random, self._network, self._plan, self._clock = random, network, plan, clock
        self._disk = Disk()
        self._vfs = DiskVfs(self._disk)
        self._authority = Authority.create(clock())
        self._database: APSWDatabase | None = None
        self._hub: Hub | None = None
        self.backend: Backend | None = None
        self.customers: list[Customer] = []
        self._paid_minor: Counter[Credit] = Counter()
        self._booked_minor: Counter[Credit] = Counter()

    def found(
        self, limits_minor: list[int], lanes: dict[LaneName, SigningKey], *, names: Sequence[str] = (LENDER,)
    ) -> list[EnrolledLender]:
        """Set the lenders up, each with the same customers, and the lanes; the backend runs afterwards."""
        database = self._open()
        with transaction(database):
            first, *others = [self._lender(name) for name in names]
            self.customers = [self._customer(first, limit) for limit in limits_minor]
            tokens = [customer.account for customer in self.customers]
            for lender in others:
                pairs = zip(limits_minor, tokens, strict=True)
                self.customers += [self._customer(lender, limit, token) for limit, token in pairs]
            for name, key in (lanes | {WEB: SigningKey.from_seed("ed25519", bytes(32))}).items():
                enrollment.register(name, key.public)
        close(database)
        self.boot()
        return [EnrolledLender(each.lender, each.name, each.root, each.key_list_bytes) for each in (first, *others)]

    def _lender(self, name: str) -> lenders.Lender:
        document = default_policy(name, version=1, issued_at=self._clock(), expires_at=self._clock() + 10**8)
        document["limits"] |= GENEROUS
        return lenders.create(
            name, "Sim", CURRENCY, now_s=self._clock(), randomness=self._random.randbytes, policy=document
        )

    def boot(self) -> None:
        self._database = self._open()
        self.backend = compose(
            self._database,
            clock=self._clock,
            randomness=self._random.randbytes,
            authority=self._authority,
            plan=self._plan,
        )
        app = create_app(self.backend)
        self._network.app, self._hub = app, app.state.hub

    def crash(self, survivors: Survivors) -> None:
        if self._database is None:
            return
        self._end()
        self.backend = None
        self._disk.process_is_dead = True
        close(self._database)
        self._database = None
        self._disk = self._vfs.disk = Disk(self._disk.after_power_cut(survivors, self._random))

    def _end(self) -> None:
        """Nothing of the process goes on: neither what it was doing for anybody, nor its look for events."""
        self._network.break_deliveries()
        self._network.app = None
        if self._hub is not None:
            self._hub.close()

    def copy(self) -> Backup:
        """A backup of the database."""
        return Backup(self._disk.after_kill(), Counter(self._booked_minor))

    def put_back(self, backup: Backup) -> None:
        """The database becomes what it was when the copy was made, and the operator says so (lease rule 13)."""
        self.crash(Survivors.ALL)
        self._disk = self._vfs.disk = Disk(backup.files)
        self._booked_minor = Counter(backup.booked_minor)
        self.boot()
        assert self._database is not None
        with transaction(self._database):
            recovery.begin("put back", now_s=self._clock())
            recovery.write_off(WEB.lane)

    def stop(self) -> None:
        self._end()
        if self._database is not None:
            close(self._database)

    def refresh_snapshots(self) -> None:
        if self.backend is not None:
            while self.backend.post_pending(POSTED_AT_ONCE):
                pass
            self.backend.release_expired()
            self.backend.refresh_snapshots()  # which ends a recovery, too
            self._book_forgotten_repayments()

    def grant_more(self) -> int:
        """Layers for the lanes that have asked for more, as the server cuts them after a turn of posting; how many."""
        return 0 if self.backend is None else sum(self.backend.granting_more())

    def recall(self, lender: str, lane: str | None, account: bytes | None, hold_s: int) -> None:
        """The lender asks for leases back, if the backend runs."""
        if self.backend is not None:
            named = account.hex() if account else None
            leases.recall(self.backend, reason="asked", lane=lane, account=named, lender=lender, hold_s=hold_s)

    def issue_coupon(self, customer: Customer, plan: str) -> str | None:
        """A coupon for the account; None while the backend is down."""
        if self.backend is None:
            return None
        account = customer.account.hex()
        answer = coupons.issue(self.backend, account=account, lender=customer.lender, plans=[plan], borne_by="lender")
        return str(answer["coupon"])

    def replace(self, name: LaneName, journal_key: PublicKey) -> tuple[int, dict[str, Any]]:
        """Another device takes the lane's place; its epoch, and how the journal before ended here."""
        assert self._database is not None and self.backend is not None, "nobody is replaced while it is down"
        place = enrollment.NewLane(name.lane, name.store, name.merchant, "Shop", CATEGORY, CURRENCY)
        with transaction(self._database):
            code = enrollment.create_code(
                place, self._authority, now_s=self._clock(), randomness=self._random.randbytes, replace=True
            )
        key = b64url(cbor.encode(journal_key.to_cose_key()))
        asked = Enrollment.model_validate({"code": code, "csr": _CSR, "journal_key": key})
        answer = json.loads(self.backend.enroll(asked))
        return answer["epoch"], answer["previous"] | {"hash": from_b64url(answer["previous"]["hash"])}

    def publish_policy(self) -> None:
        """A new version of every policy comes into force; the backend is restarted with it."""
        if self.backend is None or self._database is None:
            return
        for lender in list(self.backend.lenders.values()):
            with transaction(self._database):
                newer = lender.policy.payload() | {"version": reports.newest_documents(lender)[1] + 1}
                rotation.publish_policy(lender, newer, now_s=self._clock())
        self._end()
        close(self._database)
        self.boot()

    def buy_elsewhere(self, customer: Customer, amount_minor: int, sale_id: str) -> bool:
        """An online purchase without a lane. False: declined, or nobody there."""
        if self.backend is None:
            return False
        shown = customer.phone.show_pass(now_s=self._clock(), cti=self._random.randbytes(8), user_verified=True)
        request = AuthorizationRequest.model_validate(
            {
                "lender": customer.lender,
                "sale_id": sale_id,
                "attempt": 1,
                "epoch": 1,
                "intent_number": 1,
                "amount": Amount(minor=amount_minor, currency=CURRENCY),
                "pass": shown,
                "scanned_at": rfc3339(self._clock()),
                "category": CATEGORY,
                "capture": "at_once",
                "lease": None,
            }
        )
        return b'"approved":true' in self.backend.authorize(request, sale_id.encode(), WEB.lane).replace(b" ", b"")

    def release_elsewhere(self, lender: str, sale_id: str) -> None:
        """Such a purchase is called off."""
        if self._database is not None:
            with transaction(self._database):
                hold = holds.find(holds.Attempt(WEB.lane, lender, sale_id, 1))
                if hold is not None:  # a backend that was put back has forgotten it
                    holds.undo_online(hold)

    def repay(self, customer: Customer) -> int:
        """The customer pays the debt that the books show; returns how much, minor units."""
        if self._database is None:
            return 0
        with transaction(self._database):
            repaid_minor = self._book_repayment(customer)
        self._paid_minor[customer.key] += repaid_minor
        self._booked_minor[customer.key] += repaid_minor
        return repaid_minor

    def unbooked_minor(self, credit: Credit) -> int:
        """What was repaid and is not in books that were put back."""
        return self._paid_minor[credit] - self._booked_minor[credit]

    def _book_forgotten_repayments(self) -> None:
        """No lane knows of a repayment, but whoever took the money does: once the books are whole again, the operator
        enters what is missing in them."""
        if self._database is None or recovery.started_at() is not None:
            return
        with transaction(self._database):
            for customer in self.customers:
                if (missing_minor := self.unbooked_minor(customer.key)) > 0:
                    self._book_repayment(customer, missing_minor)
        self._booked_minor = Counter(self._paid_minor)

    def _book_repayment(self, customer: Customer, most_minor: int = MINOR_MAX) -> int:
        """Pays the debt, or ``most_minor`` of it; returns how much."""
        account = accounts.find(customer.lender, customer.account)
        assert account is not None
        repaid_minor: int = min(account.used_minor, most_minor)
        if repaid_minor:
            accounts.repay(account, repaid_minor)
        return repaid_minor

    def set_limit(self, customer: Customer, limit_minor: int) -> None:
        """The lender changes the limit, if the backend runs."""
        if self._database is None:
            return
        with transaction(self._database):
            account = accounts.find(customer.lender, customer.account)
            assert account is not None
            outstanding = allowances.outstanding_by_lane(customer.lender, customer.account)
            accounts.set_limit(account, limit_minor, outstanding_minor=sum(outstanding.values()))

    def holds(self) -> list[tuple[Any, ...]] | None:
        """Rows (lane, sale_id, attempt, account, amount, held, online, state, lender); None while the backend is
        down."""
        if self._database is None:
            return None
        columns = (Hold.lane, Hold.sale_id, Hold.attempt, Hold.account, Hold.amount_minor, Hold.held_minor)
        query: Any = Hold.select(*columns, Hold.online_minor, Hold.state, Hold.lender)
        return list(query.tuples())

    def _open(self) -> APSWDatabase:
        return open_database(PATH, vfs=self._vfs.name, sync_dir=lambda _directory: self._disk.sync_names())

    def _customer(self, lender: lenders.Lender, limit_minor: int, token: bytes | None = None) -> Customer:
        token = token or self._random.randbytes(16)
        accounts.add(lender.lender, token, limit_minor)
        key = SigningKey.from_seed("ed25519", self._random.randbytes(32))
        now_s = self._clock()
        credential = Credential(lender.lender, token, now_s - 3600, now_s + 6 * 86_400, key.public, 0, 1)
        phone = Phone(token, key, issue_credential(credential, lender.keys[Role.CREDENTIAL]))
        return Customer(lender.lender, phone, limit_minor)
