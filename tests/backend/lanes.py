"""A shop to try the backend with: a clock that is set by hand, a demo lender, and paper lanes.

A paper lane is the smallest honest lane: it keeps a real journal, spends a lease by the rules of `agent.core.leases`,
and sends signed uploads. What the backend believes of it is compared with what it would really still spend.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field
from typing import Any

from agent.core import cose, journal, leases
from agent.core.cose import SigningKey
from agent.core.journal import Draft, Head, Position, Sealed
from agent.core.snapshot_reader import open_layer, trusting
from backend import audit, enrollment, snapshots
from backend.compose import Backend
from backend.database import open_database, transaction
from backend.demo_data import DEMO_LENDER, Phone, compose_demo
from backend.identity import Authority, LaneName
from backend.ingest import Upload
from backend.schema import Account, Journal, SnapshotLayer
from backend.snapshots import Plan
from backend.wire import AuthorizationRequest, read

START = 1_800_000_000
LENDER = DEMO_LENDER
AUTHORITY = Authority.create(START)
DAY_S = 24 * 3600


@dataclass
class Clock:
    now_s: int = START

    def __call__(self) -> int:
        return self.now_s


@dataclass
class Shop:
    """A backend, its phones (one for each account), and its lanes."""

    backend: Backend
    clock: Clock
    phones: list[Phone]
    chance: random.Random
    lanes: dict[str, PaperLane] = field(default_factory=dict)

    @classmethod
    def open(cls, books: str, *limits_minor: int, allowance_minor: int = 10_000, lanes: str = "AB") -> Shop:
        """``books`` is what `open_database` takes; ":memory:" for a test that must be fast."""
        chance, clock = random.Random(7), Clock()
        backend, phones = compose_demo(
            open_database(books),
            limits_minor,
            clock=clock,
            randomness=chance.randbytes,
            plan=Plan(allowance_minor),
            authority=AUTHORITY,
        )
        shop = cls(backend, clock, phones, chance)
        for name in lanes:
            shop.lanes[name] = PaperLane(shop, name)
        return shop

    def close(self) -> None:
        self.backend.database.close()

    @property
    def token(self) -> bytes:
        return self.phones[0].account

    def account(self, token: bytes | None = None) -> audit.AccountState:
        return audit.account_state(Account.get(Account.token == (token or self.token)))

    def findings(self) -> list[str]:
        """Every broken promise, and every journal that does not go on."""
        stopped = ((row, self.backend.stopped.of(row)) for row in Journal.select())
        still = [f"{row.lane} {row.epoch} stands still {where}" for row, where in stopped if where]
        return [*audit.findings(self.backend.lenders), *still]

    def cut(
        self,
        lane: str,
        *,
        allowance_minor: int | None = None,
        is_base: bool = True,
        life_s: int = DAY_S,
        lender: str = LENDER,
    ) -> int:
        """Cut a layer for a lane; its sequence. The lane has it to install, or not."""
        plan = Plan(self.backend.plan.allowance_minor if allowance_minor is None else allowance_minor, life_s)
        signer = self.backend.lenders[lender]
        layer = snapshots.build(self.backend.database, lane, signer, plan, is_base=is_base, now_s=self.clock.now_s)
        assert layer is not None
        return int(layer.sequence)

    def refresh(self, lane: str, lender: str = LENDER) -> SnapshotLayer | None:
        """Cut what the lane needs of the lender, if anything."""
        backend = self.backend
        signer = backend.lenders[lender]
        return snapshots.refresh(backend.database, lane, signer, backend.plan, now_s=self.clock.now_s)


@dataclass(frozen=True)
class Record:
    """What a lane reads of an account in one layer."""

    granted_minor: int
    valid_until_s: int
    applied_through: Position


class PaperLane:
    """One lane. `spends` and `open_debits` are its own memory, not the backend's."""

    def __init__(self, shop: Shop, name: str) -> None:
        self.shop = shop
        self.name = name
        self.key = SigningKey.from_seed("p256", hashlib.sha256(name.encode()).digest())
        with transaction(shop.backend.database):
            enrollment.register(LaneName(name, "merchant-1", "store-1"), self.key.public)
        shop.backend.heard.add(name)
        self.head = Head(name, 1)
        self.entries: list[Sealed] = []
        self.sent = 0
        self.sequence = 0
        self.digest = b""
        self.records: dict[bytes, Record] = {}
        self.spends: list[tuple[bytes, Position, int]] = []
        self.open_debits: dict[str, tuple[bytes, int]] = {}
        self.sales = 0

    # --- what the lane knows -----------------------------------------------------------------------------------
    def remaining(self, token: bytes) -> int:
        """What this lane would still approve alone for the account, now."""
        record = self.records.get(token)
        if record is None or not leases.is_spendable(
            record.valid_until_s, now_s=self.shop.clock.now_s, horizon_s=self.head.horizon_of(LENDER)
        ):
            return 0
        spent = sum(d for t, at, d in self.spends if t == token and at > record.applied_through)
        debits = sum(debit for t, debit in self.open_debits.values() if t == token)
        return leases.remaining(record.granted_minor, spent, debits)

    def new_sale(self) -> str:
        self.sales += 1
        return f"sale-{self.name}-{self.sales:04}"

    # --- what it writes ----------------------------------------------------------------------------------------
    def write(
        self,
        kind: str,
        body: dict[str, Any],
        sale_id: str | None = None,
        *,
        attempt: int = 1,
        lender: str | None = LENDER,
        now_s: int | None = None,
    ) -> Sealed:
        """``now_s`` is the trusted time of ``lender``, if it is not everybody's."""
        draft = Draft(kind, body, lender, sale_id, None if sale_id is None else attempt)
        now_s = self.shop.clock.now_s if now_s is None else now_s
        sealed = journal.seal(draft, self.head, recorded_at=now_s, clock=(True, 0), lease_horizon=now_s)
        self.head = journal.advance(self.head, sealed)
        self.entries.append(sealed)
        lease = body.get("lease")
        if lease and "delta_minor" in lease:
            self.spends.append((body["account"], sealed.entry.position, lease["delta_minor"]))
        return sealed

    def stand_in(
        self, amount_minor: int, sale_id: str | None = None, *, token: bytes | None = None, **more: Any
    ) -> str:
        """Approve alone, from the lease (or with funding="cap"); spends whether or not the lease allows it."""
        sale_id = sale_id or self.new_sale()
        attempt, lender = more.pop("attempt", 1), more.pop("lender", LENDER)
        self.open_debits.pop(sale_id, None)
        body = self._body(amount_minor, token) | {
            "funding": "lease",
            "response_code": "00",
            "reason": "approved_offline",
        }
        body |= {"lease": {"epoch": self.head.epoch, "delta_minor": amount_minor}, "cti": self.shop.chance.randbytes(8)}
        if more.get("funding") == "cap":
            body["lease"] = None
        self.write("authorization", body | more, sale_id, attempt=attempt, lender=lender)
        return sale_id

    def decline(self, amount_minor: int, sale_id: str, *, token: bytes | None = None) -> None:
        self.open_debits.pop(sale_id, None)
        body = self._body(amount_minor, token) | {"response_code": "05", "reason": "interrupted"}
        self.write("decline", body, sale_id)

    def capture(self, amount_minor: int, sale_id: str, *, restored_minor: int = 0, token: bytes | None = None) -> None:
        self.write("capture", self._restoring(amount_minor, restored_minor, token), sale_id)

    def reverse(self, amount_minor: int, sale_id: str, *, restored_minor: int = 0, token: bytes | None = None) -> None:
        self.write("reversal", self._restoring(amount_minor, restored_minor, token), sale_id)

    def give_back(self, amount_minor: int, *, token: bytes | None = None) -> None:
        body = {"account": token or self.shop.token, "lease": {"epoch": self.head.epoch, "delta_minor": amount_minor}}
        self.write("lease_return", body)

    def ask_for_more(self, left_minor: int, *, token: bytes | None = None) -> None:
        self.write("lease_request", {"account": token or self.shop.token, "left_minor": left_minor})

    def install(self, sequence: int | None = None, *, lender: str = LENDER) -> None:
        """Put the stack up to a sequence (default: the newest) in force, reading the real layer files."""
        keys = self.shop.backend.lenders[lender].key_list
        mine = (SnapshotLayer.lane == self.name) & (SnapshotLayer.lender == lender)
        rows = list(SnapshotLayer.select().where(mine).order_by(SnapshotLayer.sequence.desc()))
        newest = next(row for row in rows if sequence in (None, row.sequence))
        self.records = {}
        for phone in self.shop.phones:
            for row in rows:
                if not newest.base_sequence <= row.sequence <= newest.sequence:
                    continue
                layer = open_layer(bytes(row.data), trusting(keys, self.shop.clock.now_s))
                found = layer.lookup(phone.account)
                if found is not None:
                    through = Position(*layer.manifest.applied_through[self.name])
                    self.records[phone.account] = Record(found.allowance_minor, found.valid_until_s, through)
                    break
        self.sequence, self.digest = newest.sequence, bytes(newest.digest)
        body = {"sequence": newest.sequence, "digest": bytes(newest.digest)}
        self.write("snapshot_installed", body, lender=lender)

    # --- what it asks and sends --------------------------------------------------------------------------------
    def intend(self, amount_minor: int, sale_id: str | None = None, *, phone: int = 0) -> str:
        """Journal the intent of an online sale, reserving what the lease can give (rule 5)."""
        sale_id = sale_id or self.new_sale()
        token = self.shop.phones[phone].account
        debit = leases.debit_for_intent(amount_minor, self.remaining(token))
        self.open_debits[sale_id] = (token, debit)
        body = self._body(amount_minor, token) | {"capture": "at_once"}
        self.write("online_intent", body | {"lease": {"epoch": self.head.epoch, "debit_minor": debit}}, sale_id)
        return sale_id

    def request(self, amount_minor: int, sale_id: str, *, phone: int = 0, **more: Any) -> bytes:
        """The body of the request of an intended sale, with a fresh pass."""
        shop = self.shop
        debit = self.open_debits.get(sale_id, (b"", 0))[1]
        cti = more.pop("cti", None) or shop.chance.randbytes(8)
        body = {
            "lender": LENDER,
            "sale_id": sale_id,
            "attempt": 1,
            "epoch": self.head.epoch,
            "intent_number": max(1, self.head.number),
            "amount": {"minor": amount_minor, "currency": "CNY"},
            "pass": shop.phones[phone].show_pass(now_s=shop.clock.now_s, cti=cti, user_verified=True),
            "scanned_at": "2027-01-15T08:00:00Z",
            "category": "5411",
            "capture": "at_once",
            "lease": {"epoch": self.head.epoch, "debit_minor": debit} if debit else None,
        }
        return json.dumps(body | more).encode()

    def ask(self, raw: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(
            self.shop.backend.authorize(read(AuthorizationRequest, raw), raw, self.name)
        )
        return answer

    def note(self, answer: dict[str, Any], amount_minor: int, sale_id: str, *, phone: int = 0) -> None:
        """Journal the online outcome."""
        self.open_debits.pop(sale_id, None)
        body = self._body(amount_minor, self.shop.phones[phone].account)
        body |= {name: answer.get(name) for name in ("approved", "response_code", "reason", "authorization_code")}
        used = answer["lease_used_minor"]
        self.write(
            "online_outcome",
            body | {"lease": {"epoch": self.head.epoch, "delta_minor": used} if used else None},
            sale_id,
        )

    def signed_upload(self, first: int | None = None, count: int = 500) -> Upload:
        first = self.sent + 1 if first is None else first
        entries = self.entries[first - 1 : first - 1 + count]
        last = Head(self.name, self.head.epoch, entries[-1].entry.number, entries[-1].hash)
        statement = journal.upload_statement(last, first, len(entries))
        signature = cose.sign1(statement, self.key, typ=journal.UPLOAD_TYP)
        return Upload(self.name, self.head.epoch, first, [sealed.data for sealed in entries], signature)

    def upload(self, count: int = 500) -> list[str]:
        """Send what is not acknowledged yet; the results, disputes and parked ones with their reason."""
        if self.sent == self.head.number:
            return []
        answer = json.loads(self.shop.backend.ingest(self.signed_upload(count=count)))
        self.sent = answer["acknowledged_through"]
        return [":".join(filter(None, (r["result"], r.get("reason")))) for r in answer["results"]]

    def _body(self, amount_minor: int, token: bytes | None) -> dict[str, Any]:
        return {"amount_minor": amount_minor, "currency": "CNY", "account": token or self.shop.token}

    def _restoring(self, amount_minor: int, restored_minor: int, token: bytes | None) -> dict[str, Any]:
        lease = {"epoch": self.head.epoch, "delta_minor": -restored_minor} if restored_minor else None
        return self._body(amount_minor, token) | {"lease": lease}
