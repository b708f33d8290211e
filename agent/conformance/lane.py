"""A lane of the suite: its own keys, a certificate from the backend under test, and a real journal.

The one rule: unless a case says otherwise, it is an honest lane: numbers without gaps, one hash chain, leases that it
was granted, and uploads signed by its journal key.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agent.conformance.exchange import Exchange
from agent.conformance.kit import Phone
from agent.conformance.line import Line, encode
from agent.core import cose, journal, leases
from agent.core.cose import SigningKey
from agent.core.journal import Draft, Head, Kind, Sealed
from agent.core.lane_report import Report

POST_WAIT_S: Final = 15.0
POST_PAUSE_S: Final = 0.1
CURRENCY: Final = "CNY"
CATEGORY: Final = "5411"  # ISO 18245: supermarkets


def b64url(data: bytes) -> str:
    """base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Lease:
    """What a snapshot's record grants this lane of one account, and up to which entry of the lane the layer that
    supplied the record includes its journal."""

    account: bytes
    epoch: int
    granted_minor: int
    valid_until_s: int
    applied_number: int


@dataclass(slots=True)
class Lane:
    """``answer`` is what enrollment said; ``sent`` how far the journal has gone to the backend."""

    line: Line
    key: SigningKey
    answer: Mapping[str, Any]
    head: Head
    entries: list[Sealed] = field(default_factory=list)
    sent: int = 0
    sales: int = 0

    @property
    def name(self) -> str:
        return self.head.lane

    @property
    def currency(self) -> str:
        currency: str = self.answer.get("currency", CURRENCY)
        return currency

    def new_sale(self) -> str:
        self.sales += 1
        return f"cf-{self.head.epoch}-{self.sales:04}-{os.urandom(4).hex()}"

    # --- the journal -------------------------------------------------------------------------------------------
    def write(
        self,
        kind: str,
        body: Mapping[str, Any],
        *,
        lender: str | None = None,
        sale_id: str | None = None,
        attempt: int | None = None,
        horizon_s: int = 0,
    ) -> Sealed:
        """Seal one entry after the head. ``attempt`` is 1 for entries of a sale unless given."""
        draft = Draft(kind, body, lender, sale_id, attempt if attempt or sale_id is None else 1)
        sealed = journal.seal(draft, self.head, recorded_at=int(time.time()), clock=(True, 0), lease_horizon=horizon_s)
        self.head = journal.advance(self.head, sealed)
        self.entries.append(sealed)
        return sealed

    def fill(self, count: int = 1, *, lender: str | None = None, horizon_s: int = 0) -> None:
        """Write entries that move nothing."""
        for _ in range(count):
            body = {"job_id": 1, "rung": "confirmed", "copy": False}
            self.write(Kind.PRINT, body, lender=lender, horizon_s=horizon_s)

    def upload_body(self, first: int, entries: Sequence[Sealed], /, **other: Any) -> dict[str, Any]:
        """The body of an upload, signed; ``other`` replaces members after the signature was made."""
        last = entries[-1]
        end = Head(self.name, self.head.epoch, last.entry.number, last.hash)
        signed = cose.sign1(journal.upload_statement(end, first, len(entries)), self.key, typ=journal.UPLOAD_TYP)
        body = {"lane": self.name, "epoch": self.head.epoch, "first": first}
        return body | {"entries": [b64url(one.data) for one in entries], "signature": b64url(signed)} | other

    def pending(self) -> list[Sealed]:
        return self.entries[self.sent :]

    def upload(self, first: int | None = None, count: int | None = None, **other: Any) -> Exchange:
        """Send entries from ``first`` on (default: what has not been sent) and believe nothing of the answer."""
        first = self.sent + 1 if first is None else first
        entries = self.entries[first - 1 : None if count is None else first - 1 + count]
        return self.line.post("/v1/journal", self.upload_body(first, entries, **other))

    def send(self) -> list[dict[str, Any]]:
        """Send what has not been sent, wait until it is posted, and give the results of these entries."""
        first, exchange = self.sent + 1, self.upload()
        fields = exchange.ok()
        exchange.demand(
            fields.get("acknowledged_through") == self.head.number, f"acknowledged_through {self.head.number}"
        )
        results = self.results(exchange)
        self.sent = self.head.number
        deadline = time.monotonic() + POST_WAIT_S
        while fields.get("posted_through", self.head.number) < self.head.number and time.monotonic() < deadline:
            time.sleep(POST_PAUSE_S)
            exchange = self.upload(first)
            fields, results = exchange.ok(), self.results(exchange)
        posted = fields.get("posted_through", self.head.number)
        exchange.demand(posted == self.head.number, f"entries to be posted within {POST_WAIT_S:.0f} s")
        return results

    def results(self, exchange: Exchange) -> list[dict[str, Any]]:
        """The results of an upload's answer: rows with number and result."""
        rows = exchange.ok().get("results")
        is_list = isinstance(rows, list) and all(isinstance(row, dict) and "result" in row for row in rows)
        exchange.demand(is_list, "results: one row for each entry, with number and result")
        found: list[dict[str, Any]] = rows or []
        return found

    def flush(self) -> None:
        if self.pending():
            self.send()

    def report(self, lender: str) -> Exchange:
        """Say, in a signed heartbeat, how far the journal is: a backend that has begun anew may wait for it."""
        said = Report(self.name, os.urandom(16), self.head.epoch, self.head.number, self.sent, {})
        body = {"lender": lender, "nonce": b64url(said.nonce), "epoch": said.epoch, "number": said.number}
        body |= {"acknowledged_through": said.acknowledged_number, "installed": {}}
        return self.line.post("/v1/heartbeat", body | {"signature": b64url(said.signed(self.key))})

    # --- sales -------------------------------------------------------------------------------------------------
    def facts(self, phone: Phone, amount_minor: int, /, **other: Any) -> dict[str, Any]:
        """The fields that every entry of an attempt has."""
        body = {"amount_minor": amount_minor, "currency": self.currency, "category": CATEGORY, "capture": "at_once"}
        return body | {"account": phone.account, "cti": os.urandom(8), "code": os.urandom(8)} | other

    def intend(self, phone: Phone, amount_minor: int, sale_id: str, *, debit_minor: int = 0, attempt: int = 1) -> None:
        """The intent that precedes a question, with what it reserves of the lease."""
        lease = {"epoch": self.head.epoch, "debit_minor": debit_minor} if debit_minor else None
        body = self.facts(phone, amount_minor, scanned_at=int(time.time()), lease=lease)
        self.write(Kind.ONLINE_INTENT, body, lender=phone.lender, sale_id=sale_id, attempt=attempt)

    def outcome(self, phone: Phone, amount_minor: int, sale_id: str, *, used_minor: int = 0, **other: Any) -> None:
        """An online approval as the lane journals it."""
        attempt = other.pop("attempt", 1)
        body = self.facts(phone, amount_minor, approved=True, lease=self.spent(used_minor)) | self.decided() | other
        self.write(Kind.ONLINE_OUTCOME, body, lender=phone.lender, sale_id=sale_id, attempt=attempt)

    def stand_in(self, phone: Phone, amount_minor: int, sale_id: str | None = None, /, **other: Any) -> str:
        """An approval of the lane alone, from its lease unless ``other`` says something else."""
        sale_id, attempt = sale_id or self.new_sale(), other.pop("attempt", 1)
        body = self.facts(phone, amount_minor, funding="lease", lease=self.spent(amount_minor)) | self.decided()
        alone = {"snapshot_sequence": 1, "clock_source": "signed", "online_unknown": False}
        self.write(Kind.AUTHORIZATION, body | alone | other, lender=phone.lender, sale_id=sale_id, attempt=attempt)
        return sale_id

    def decline(self, phone: Phone, amount_minor: int, sale_id: str) -> None:
        body = self.facts(phone, amount_minor) | self.decided() | {"response_code": "05", "reason": "interrupted"}
        del body["authorization_code"]
        alone = {"snapshot_sequence": None, "clock_source": "signed", "online_unknown": True}
        self.write(Kind.DECLINE, body | alone, lender=phone.lender, sale_id=sale_id)

    def capture(self, phone: Phone, amount_minor: int, sale_id: str, **other: Any) -> None:
        body = {"amount_minor": amount_minor, "currency": self.currency} | other
        self.write(Kind.CAPTURE, body, lender=phone.lender, sale_id=sale_id)

    def reverse(self, phone: Phone, amount_minor: int, sale_id: str, *, restored_minor: int = 0) -> None:
        body: dict[str, Any] = {"amount_minor": amount_minor, "currency": self.currency, "reason": "cancelled"}
        if restored_minor:
            body |= {"account": phone.account, "lease": self.spent(-restored_minor)}
        self.write(Kind.REVERSAL, body, lender=phone.lender, sale_id=sale_id)

    def give_back(self, phone: Phone, amount_minor: int) -> None:
        body = {"account": phone.account, "lease": self.spent(amount_minor)}
        self.write(Kind.LEASE_RETURN, body, lender=phone.lender)

    def ask_for_more(self, phone: Phone, left_minor: int) -> None:
        body = {"account": phone.account, "left_minor": left_minor}
        self.write(Kind.LEASE_REQUEST, body, lender=phone.lender)

    def left(self, lease: Lease) -> int:
        """What may still be spent of a lease: what it grants less what later entries took of it."""
        after, mine = (lease.epoch, lease.applied_number), (sealed.entry for sealed in self.entries)
        later = (entry.body for entry in mine if entry.position > after and entry.body.get("account") == lease.account)
        taken = (body.get("lease") or {} for body in later)
        return leases.remaining(lease.granted_minor, sum(each.get("delta_minor", 0) for each in taken), 0)

    def spent(self, delta_minor: int) -> dict[str, int] | None:
        return {"epoch": self.head.epoch, "delta_minor": delta_minor} if delta_minor else None

    @staticmethod
    def decided() -> dict[str, Any]:
        approved = {"response_code": "00", "reason": "approved", "rules": [], "policy_version": 1}
        return approved | {"authorization_code": "000000"}

    # --- questions ---------------------------------------------------------------------------------------------
    def request(self, phone: Phone, amount_minor: int, sale_id: str, /, **other: Any) -> dict[str, Any]:
        """The body of an authorization with a fresh pass."""
        now_s = int(time.time())
        body = {"lender": phone.lender, "sale_id": sale_id, "attempt": 1, "epoch": self.head.epoch}
        body |= {"intent_number": max(1, self.head.number), "category": CATEGORY, "capture": "at_once"}
        body |= {"amount": {"minor": amount_minor, "currency": self.currency}, "lease": None}
        scanned = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s))
        code = phone.show_pass(now_s=now_s, cti=os.urandom(8))
        return body | {"pass": code, "scanned_at": scanned} | other

    def key_of(self, body: Mapping[str, Any]) -> str:
        return f"{body['lender']}/{self.name}/{body['sale_id']}/{body['attempt']}"

    def ask(self, body: Mapping[str, Any], *, raw: bytes | None = None, key: str | None = None) -> Exchange:
        """POST /v1/authorizations; ``raw`` and ``key`` replace what the body would give."""
        content = encode(body) if raw is None else raw
        return self.line.post("/v1/authorizations", content, Idempotency_Key=key or self.key_of(body))

    def buy(self, phone: Phone, amount_minor: int, **other: Any) -> tuple[str, dict[str, Any]]:
        """Intent and question of a sale: its id and the answer. The outcome is the caller's to write."""
        sale_id = other.pop("sale_id", None) or self.new_sale()
        lease = other.get("lease") or {}
        debit_minor = leases.debit_for_intent(amount_minor, lease.get("debit_minor", 0))
        self.intend(phone, amount_minor, sale_id, debit_minor=debit_minor, attempt=other.get("attempt", 1))
        return sale_id, self.ask(self.request(phone, amount_minor, sale_id, **other)).ok()

    def is_approved(self, phone: Phone, amount_minor: int) -> bool:
        """Whether a new online sale of this amount is approved now; if it is, it is journaled so."""
        sale_id, answer = self.buy(phone, amount_minor)
        if answer["approved"]:
            self.outcome(phone, amount_minor, sale_id)
        return bool(answer["approved"])
