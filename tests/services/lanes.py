"""A lane for tests: the real services upon a real ledger and real signed layers, beside a scripted backend and printer.

Time, ids and the disk are in memory, so a test may kill the lane at any moment and look at what is left.
"""

import io
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from agent.core import trust
from agent.core.authorization import Hold
from agent.core.cose import SigningKey
from agent.core.credit_pass import Credential, Proof, assemble, issue_credential, issue_proof
from agent.core.default_policy import default_policy
from agent.core.journal import Kind, Sealed
from agent.core.money import Money
from agent.core.policy import parse_policy, sign_policy
from agent.core.receipt import Seller
from agent.core.snapshot_builder import build_layer
from agent.core.snapshot_layer import Record
from agent.core.snapshot_manifest import SNAPSHOT_TYPE, Manifest
from agent.core.witness import Witnessed
from agent.errors import UplinkUnavailable
from agent.lane import Lane, LaneSettings
from agent.ports import AttemptUnknown, PrintResult
from agent.services.checkout import Order
from agent.services.introductions import Introducer
from agent.services.lenders import EnrolledLender
from agent.services.timekeeping import TIME_TYP
from agent.simulation.disk import Disk, DiskVfs
from agent.store.ledger import SqliteLedger
from agent.store.snapshot_files import SnapshotFiles
from drivers.document import Document

NOW_S = 1_800_000_000
HOUR_S, DAY_S = 3_600, 86_400
LENDER = "shoplend"
CUSTOMER = bytes(range(16))
STRANGER = bytes(range(16, 32))


def key(name: str) -> SigningKey:
    return SigningKey.from_seed("ed25519", name.encode().ljust(32, b"."))


@dataclass
class PaperClock:
    """Wall and monotonic time, each moved by the test."""

    wall: int = NOW_S
    monotonic: float = 1_000.0

    def wall_s(self) -> int:
        return self.wall

    def monotonic_s(self) -> float:
        return self.monotonic

    def pass_time(self, seconds: int) -> None:
        self.wall += seconds
        self.monotonic += seconds


@dataclass
class PaperLender:
    """A lender that signs key lists, policies, time and snapshot layers."""

    name: str = LENDER
    version: int = 1
    layers: list[tuple[Manifest, bytes]] = field(default_factory=list)
    now_s: int = NOW_S
    aid: bytes = trust.AID_DEFAULT

    def key(self, role: trust.Role) -> SigningKey:
        return key(f"{self.name}-{role}")

    def key_list(self, version: int = 1, *, until_s: int | None = None) -> bytes:
        end_s = self.now_s + 400 * DAY_S
        entries = tuple(
            trust.KeyEntry(self.key(role).public.kid, self.key(role).public, role, self.now_s - DAY_S, until_s or end_s)
            for role in trust.Role
        )
        keys = trust.KeyList(self.name, version, self.now_s - 10 + version, end_s, entries, "CNY", self.aid)
        return trust.sign_key_list(keys, key(f"{self.name}-root"))

    def enrolled(self) -> EnrolledLender:
        return EnrolledLender(self.name, self.name.title(), key(f"{self.name}-root").public, self.key_list())

    def policy(self, version: int = 1, *, expires_at: int | None = None, **limits: int) -> bytes:
        payload = default_policy(
            self.name, version=version, issued_at=self.now_s - 100, expires_at=expires_at or self.now_s + 90 * DAY_S
        )
        payload["limits"] |= {"probe_percent_low": 0, "probe_percent_high": 0, "velocity_count_max": 1_000} | limits
        return sign_policy(parse_policy(payload), self.key(trust.Role.POLICY))

    def signed_time(self, nonce: bytes, time_s: int, **fields: object) -> bytes:
        payload = {"lender": self.name, "nonce": nonce, "time": time_s} | fields
        return trust.sign_document(payload, self.key(trust.Role.TIME), TIME_TYP)

    def layer(
        self,
        directory: Path,
        grants: Mapping[bytes, int],
        *,
        delta: bool = False,
        valid_s: int = 2 * DAY_S,
        flags: Mapping[str, bool] | None = None,
        **fields: Any,
    ) -> tuple[int, str]:
        """Cut and sign a layer with a lease for each account; returns what the uplink hands over: sequence, path."""
        built_at = fields.setdefault("built_at", self.now_s)
        leases = [Record(token, minor, built_at + valid_s, tier=3, **(flags or {})) for token, minor in grants.items()]
        return self.cut(directory, leases, delta=delta, **fields)

    def cut(self, directory: Path, records: Sequence[Record], *, delta: bool = False, **fields: Any) -> tuple[int, str]:
        """The same, with every record given in full."""
        below = self.layers[-1] if delta else None
        sequence = self.layers[-1][0].sequence + 1 if self.layers else 1
        base = {"base_sequence": below[0].base_sequence, "below": below[1]} if below else {"base_sequence": sequence}
        manifest = _manifest(self.name, sequence, **(base | fields))
        out = io.BytesIO()
        sign = partial(trust.sign_document, key=self.key(trust.Role.SNAPSHOT), typ=SNAPSHOT_TYPE)
        digest = build_layer(sorted(records, key=lambda r: r.token), len(records), manifest, sign, out)
        self.layers.append((manifest, digest))
        path = directory / f"{self.name}-{sequence}.layer"
        path.write_bytes(out.getvalue())
        return sequence, str(path)


def _manifest(signer: str, sequence: int, **fields: Any) -> Manifest:
    base: dict[str, Any] = {
        "lender": signer,
        "merchant": "m1",
        "store": "s1",
        "lane": "lane-01",
        "lease_epoch": 1,
        "sequence": sequence,
        "base_sequence": sequence,
        "below": None,
        "built_at": NOW_S,
        "soft_age_s": 3 * DAY_S,
        "hard_age_s": 6 * DAY_S,
        "applied_through": {"lane-01": (1, 0)},
        "currency": "CNY",
        "policy_version": 1,
        "origin": (39_904_200, 116_407_400),
    }
    return Manifest(**(base | fields))


@dataclass
class Phone:
    """A customer's phone. Every code has its own ``cti``."""

    clock: PaperClock
    account: bytes = CUSTOMER
    lender: str = LENDER
    cap_minor: int = 0
    numbers: Iterator[int] = field(default_factory=count)
    tier: int = 3
    aid: bytes = trust.AID_DEFAULT

    def code(self, *, age_s: int = 0, at: int | None = None, user_verified: bool = True, life_s: int = DAY_S) -> str:
        """A code of ``age_s`` seconds ago; ``at`` is the true time, when the lane's wall clock is not."""
        phone = SigningKey.from_seed("p256", b"P" * 32)
        issued = self.clock.wall if at is None else at
        credential = Credential(
            self.lender, self.account, issued - HOUR_S, issued + life_s, phone.public, self.cap_minor, self.tier
        )
        df01 = issue_credential(credential, key(f"{self.lender}-{trust.Role.CREDENTIAL}"))
        cti = next(self.numbers).to_bytes(4, "big") + self.account[:4]
        proof = Proof(issued - age_s, cti, user_verified, counter=None)
        return assemble(df01, issue_proof(df01, proof, phone), self.aid)


Answer = Mapping[str, Any] | AttemptUnknown | Exception | None
Scripted = Answer | Callable[[Mapping[str, Any]], Awaitable[Answer]]


def approved(request: Mapping[str, Any], *, used_minor: int = 0, **fields: Any) -> dict[str, Any]:
    """An online approval of exactly what was asked for."""
    return _answer("00", "approved", approved=True, amount=request["amount"], lease_used_minor=used_minor) | fields


def declined(response_code: str = "51", **fields: Any) -> dict[str, Any]:
    return _answer(response_code, "backend_declined", approved=False, amount=None, lease_used_minor=0) | fields


def _answer(response_code: str, reason: str, **fields: Any) -> dict[str, Any]:
    return {
        "response_code": response_code,
        "reason": reason,
        "rules": [],
        "policy_version": 1,
        "authorization_code": "A1B2C3",
        "decided_at": "2027-01-15T08:00:00Z",
    } | fields


class PaperBackend:
    """The port ``Backend`` as a script: what ``answer`` and ``known`` say, after whatever they let happen meanwhile."""

    def __init__(self) -> None:
        self.available = False
        self.answer: Scripted = None
        self.known: Scripted = None
        self.settled: list[Mapping[str, Any]] = []
        self.requests: list[Mapping[str, Any]] = []
        self.refund_answer: Scripted = None
        self.refunds: list[Mapping[str, Any]] = []
        self.inquiries: list[tuple[str, str, int]] = []
        self.pokes = 0
        self.epochs_asked: list[Mapping[str, Any]] = []
        self.new_epoch: Mapping[str, Any] | None = None

    async def authorize(self, request: Mapping[str, Any], budget_s: float) -> Mapping[str, Any] | None:
        self.requests.append(request)
        answer = await _said(self.answer, request)
        assert not isinstance(answer, AttemptUnknown)
        return answer

    async def inquire(
        self, lender: str, sale_id: str, attempt: int, budget_s: float
    ) -> Mapping[str, Any] | AttemptUnknown | None:
        self.inquiries.append((lender, sale_id, attempt))
        return await _said(self.known, {"lender": lender, "sale_id": sale_id, "attempt": attempt})

    async def refund(self, request: Mapping[str, Any], budget_s: float) -> Mapping[str, Any] | None:
        self.refunds.append(request)
        answer = await _said(self.refund_answer, request)
        assert not isinstance(answer, AttemptUnknown)
        return answer

    async def settle(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.settled.append(body)
        if not self.available:
            raise UplinkUnavailable("down")
        return {"matched": True, "differences": [], "totals": body["totals"], "chain_head": body["chain_head"]}

    async def open_epoch(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.epochs_asked.append(body)
        if not self.available:
            raise UplinkUnavailable("down")
        assert self.new_epoch is not None
        return self.new_epoch

    def poke(self) -> None:
        self.pokes += 1


async def _said(script: Scripted, request: Mapping[str, Any]) -> Mapping[str, Any] | AttemptUnknown | None:
    said = await script(request) if callable(script) else script
    if isinstance(said, Exception):
        raise said
    return said


class PaperPrinter:
    """What came out, as (job id, whether marked as a copy); each job goes as ``results`` says, then ``confirmed``."""

    def __init__(self) -> None:
        self.results: list[str | Exception] = []
        self.paper: list[tuple[int, bool]] = []
        self.documents: list[Document] = []
        self.before: Callable[[], Awaitable[None]] | None = None

    async def print_document(self, job_id: int, document: Document, *, copy: bool) -> PrintResult:
        if self.before is not None:
            await self.before()
        said = self.results.pop(0) if self.results else "confirmed"
        if isinstance(said, Exception):
            raise said
        if said != "not_started":
            self.paper.append((job_id, copy))
            self.documents.append(document)
        return PrintResult(said, None if said == "confirmed" else "paper_out")


@dataclass
class PaperWitness:
    """The port ``Witness`` in memory: what it holds survives every ledger."""

    machine: bytes = b"this machine"
    said: Witnessed | None = None

    def read(self) -> Witnessed | None:
        return self.said

    def write(self, said: Witnessed) -> bool:
        self.said = said
        return True


class Till:
    """One lane and its world. ``restart`` is a kill: the process is gone, the machine and its disk are not."""

    def __init__(
        self,
        directory: Path,
        *,
        grants: Mapping[bytes, int] | None = None,
        ready: bool = True,
        lender: PaperLender | None = None,
        others: Sequence[PaperLender] = (),
        introducer: Introducer | None = None,
        clock: PaperClock | None = None,
        settings: Mapping[str, Any] | None = None,
        **layer: Any,
    ) -> None:
        self.directory = directory
        self.clock, self.backend, self.printer = clock or PaperClock(), PaperBackend(), PaperPrinter()
        self.lender, self.others, self.free_bytes = lender or PaperLender(), others, 10**12
        self.introducer = introducer
        self.disk = Disk()
        self.vfs = DiskVfs(self.disk)
        self.settings: dict[str, Any] = {"lane": "lane-01", **(settings or {})}
        self.settings.setdefault("seller", Seller("Corner Shop", "West", self.settings["lane"]))
        self.epoch = 1
        self.witness: PaperWitness | None = None
        self._codes = count(1)
        self.start()
        for each in (self.lender, *others) if ready else ():
            self.tell_time(lender=each)
            self.lane.lenders.install_policy(each.name, each.policy())
            self.install(grants if grants is not None else {CUSTOMER: 10_000}, of=each, **layer)

    def start(self, wrap: Callable[[SqliteLedger], Any] = lambda ledger: ledger) -> Lane:
        self.ledger = self.open_ledger()
        self.lane = Lane(
            LaneSettings(
                store="s1",
                epoch=self.epoch,
                certificate_sha256=b"c" * 32,
                **self.settings,
            ),
            [lender.enrolled() for lender in (self.lender, *self.others)],
            key("journal"),
            ledger=wrap(self.ledger),
            snapshots=SnapshotFiles(self.directory / "snapshots"),
            backend=self.backend,
            printer=self.printer,
            clock=self.clock,
            random_bytes=lambda size: b"n" * size,
            free_bytes=lambda: self.free_bytes,
            witness=self.witness,
            introducer=self.introducer,
        )
        self.checkout, self.counter = self.lane.checkout, self.lane.counter
        return self.lane

    def open_ledger(self) -> SqliteLedger:
        return SqliteLedger.open("/lane.db", vfs=self.vfs.name, sync_dir=self.disk.sync_names, wal_pages=0)

    def restart(self, *, wall_s: int | None = None) -> Lane:
        self.kill()
        if wall_s is not None:
            self.clock.wall = wall_s
        return self.start()

    def put_back(self, files: Mapping[str, bytes]) -> Lane:
        """The ledger becomes what it was when ``files`` were copied; the snapshots stay."""
        self.kill()
        self.disk = Disk(files)
        self.vfs.disk = self.disk
        return self.start()

    def kill(self) -> None:
        """The process ends without a word: nothing that its connection would still write at its end is written."""
        self.disk.process_is_dead = True
        self.ledger.close()
        self.disk = Disk(self.disk.after_kill())
        self.vfs.disk = self.disk

    def close(self) -> None:
        self.ledger.close()

    def tell_time(self, time_s: int | None = None, *, lender: PaperLender | None = None) -> bool:
        forwarding, signer = self.lane.forwarding, lender or self.lender
        nonce = forwarding.ask_time(signer.name)
        document = signer.signed_time(nonce, self.clock.wall if time_s is None else time_s)
        return forwarding.signed_time(signer.name, nonce, document)

    def install(self, grants: Mapping[bytes, int], *, of: PaperLender | None = None, **layer: Any) -> None:
        """Cut a layer and install it. ``applied_through`` unless given: everything recorded so far."""
        layer.setdefault("applied_through", {self.settings["lane"]: tuple(self.ledger.head.position)})
        signer = of or self.lender
        cut = signer.layer(self.directory, grants, **layer)
        self.lane.lenders.install_snapshot(signer.name, [cut])

    def phone(self, account: bytes = CUSTOMER, **fields: Any) -> Phone:
        return Phone(self.clock, account, numbers=self._codes, **fields)

    def entries(self, *kinds: Kind) -> list[Sealed]:
        found = self.ledger.entries_after(1, 0, 10_000)
        return [sealed for sealed in found if not kinds or sealed.entry.kind in kinds]

    def kinds(self, sale_id: str) -> list[str]:
        return [sealed.entry.kind for sealed in self.ledger.sale_entries(sale_id)]

    def left(self, account: bytes = CUSTOMER) -> int:
        """What the lane would still spend of the account's lease, by the ledger and the layer in force."""
        stack = self.lane.lenders.first.stack
        found = stack.lookup(account) if stack else None
        if found is None:
            return 0
        epoch, number = found.manifest.applied_through[self.settings["lane"]]
        spent = self.ledger.spent_after(LENDER, account, type(self.ledger.head.position)(epoch, number))
        return found.record.allowance_minor - spent - self.ledger.open_debits(LENDER, account)


def order(sale_id: str = "sale-0001", minor: int = 3_000, **fields: Any) -> Order:
    return Order(sale_id, Money(minor, "CNY"), fields.pop("category", "5411"), **fields)


def codes(holds: Sequence[Hold]) -> list[str | None]:
    return [hold.response_code for hold in holds]
