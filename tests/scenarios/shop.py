"""The shop in which scenes are played: real lanes upon real ledgers and signed snapshots, with a clock made of paper.

The one rule: nothing here decides a sale. `phrases.py` says what the words of a scene do to this shop.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agent.core import trust
from agent.core.authorization import Hold
from agent.core.default_policy import default_policy
from agent.core.disclosure import read_statement
from agent.core.journal import Entry, Kind
from agent.core.money import Money
from agent.core.policy import parse_policy, sign_policy
from agent.core.snapshot_layer import Record
from agent.errors import OfferRefused
from agent.services.checkout import Order
from agent.services.counter import Counter
from agent.services.events import Events
from agent.services.offers import Wish
from agent.services.views import SHOWN_STATES
from agent.texts import LANGUAGES, Field, Language, slip, text
from drivers.document import Pair
from tests.services.lanes import DAY_S, HOUR_S, LENDER, PaperClock, PaperLender, Phone, Till
from tests.uplink.world import run

DECIDED = (Kind.AUTHORIZATION, Kind.DECLINE, Kind.ONLINE_OUTCOME)


@dataclass
class Customer:
    """An account: what the snapshot says of it, and what its phone shows. Without ``record`` no lane knows it."""

    name: str
    record: Record | None = None
    lease_valid_s: int = 2 * DAY_S
    cap_minor: int = 0
    tier: int = 3
    last_code: str = ""

    @property
    def token(self) -> bytes:
        return sha256(self.name.encode()).digest()[:16]


@dataclass(frozen=True)
class Told:
    """What the lane made of a sale: a value for each column of answers, and the sentences in every language."""

    answers: Mapping[str, str]
    texts: Mapping[Language, Mapping[str, str]]


@dataclass
class Snapshot:
    """What the next layer is to be. ``built_at`` None: the lane has none."""

    built_at: int | None
    soft_age_s: int = DAY_S
    hard_age_s: int = 3 * DAY_S
    lease_epoch: int = 1
    policy_version: int = 1


class Shop:
    """One scene's world. Times are UTC seconds; ``true_s`` is the time that no clock in the shop need agree with."""

    def __init__(self, directory: Path, opened: ExitStack) -> None:
        self.directory, self._opened = directory, opened
        self.customers: dict[str, Customer] = {}
        self.lanes: dict[str, Till] = {}
        self.sold: list[tuple[Till, str]] = []
        self.settings: dict[str, Any] = {}
        self.link = "down"
        self.knows_time = True
        self._codes = count(1)
        self.start_at("2027-01-15 16:00 Asia/Shanghai")

    def start_at(self, words: str) -> None:
        """``2027-01-15 16:00 Asia/Shanghai``: when the scene begins, and where the store is."""
        moment, _, zone = words.rpartition(" ")
        self.zone, self.true_s = ZoneInfo(zone), 0
        self.true_s = self.moment_s(moment)
        self.clock, self.lender = PaperClock(self.true_s), PaperLender(now_s=self.true_s)
        issued_at, expires_at = self.true_s - 100, self.true_s + 90 * DAY_S
        self.policy: dict[str, Any] = default_policy(LENDER, version=1, issued_at=issued_at, expires_at=expires_at)
        self.policy["limits"] |= {"probe_percent_low": 0, "probe_percent_high": 0}  # chance has no part in a scene
        self.snapshot = Snapshot(self.true_s - HOUR_S)

    # -- lanes and what they hold --------------------------------------------------------------------------------

    def lane(self, name: str = "1") -> Till:
        """The lane of this name. A new one has the true time, the policy and the snapshot of the scene."""
        if name not in self.lanes:
            directory = self.directory / name
            directory.mkdir(parents=True)
            settings = {"lane": f"lane-{name}", "timezone": self.zone.key, **self.settings}
            till = Till(directory, ready=False, lender=self.lender, clock=self.clock, settings=settings)
            self._opened.callback(till.close)
            self.lanes[name] = till
            if self.knows_time:
                till.tell_time(self.true_s)
            self.put_in_force(till)
        return self.lanes[name]

    def each_lane(self) -> list[Till]:
        return list(self.lanes.values()) or [self.lane()]

    def put_in_force(self, till: Till) -> None:
        """Policy and snapshot as the scene has them now; each comes only once."""
        lenders = till.lane.lenders
        if self.policy:
            signed = sign_policy(parse_policy(self.policy), self.lender.key(trust.Role.POLICY))
            lenders.install_policy(LENDER, signed)
        if self.snapshot.built_at is not None:
            lenders.install_snapshot(LENDER, [self._cut(till, self.snapshot.built_at)])

    def _cut(self, till: Till, built_at: int) -> tuple[int, str]:
        lane, cut = till.settings["lane"], self.snapshot
        records = [
            replace(customer.record, valid_until_s=built_at + customer.lease_valid_s)
            for customer in sorted(self.customers.values(), key=lambda customer: customer.token)
            if customer.record
        ]
        return self.lender.cut(
            till.directory, records, lane=lane, applied_through={lane: tuple(till.ledger.head.position)},
            built_at=built_at, soft_age_s=cut.soft_age_s, hard_age_s=cut.hard_age_s,
            lease_epoch=cut.lease_epoch, policy_version=cut.policy_version,
        )  # fmt: skip

    # -- time ------------------------------------------------------------------------------------------------------

    def moment_s(self, words: str) -> int:
        """``2027-01-15 16:00``, ``16:00:30`` (of the day that it is) or ``02:30+01:00``, by the store's clock."""
        match = re.fullmatch(r"(?:(\d{4}-\d\d-\d\d) )?(\d\d:\d\d(?::\d\d)?)([+-]\d\d:\d\d)?", words)
        if not match:
            raise ValueError(f"{words!r} is no time like 16:00, 16:00:30, 02:30+01:00 or 2027-01-15 16:00")
        day = (
            date.fromisoformat(match[1])
            if match[1]
            else datetime.fromtimestamp(self.true_s, UTC).astimezone(self.zone).date()
        )
        moment = datetime.fromisoformat(f"{day} {match[2]}{match[3] or ''}")
        return int((moment if match[3] else moment.replace(tzinfo=self.zone)).timestamp())

    def wait_until(self, moment_s: int) -> None:
        if moment_s < self.true_s:
            raise ValueError("a sale cannot be before the last one")
        self.clock.pass_time(moment_s - self.true_s)
        self.true_s = moment_s

    # -- sales -----------------------------------------------------------------------------------------------------

    def code_of(self, customer: Customer, shown: dict[str, Any]) -> str:
        """What the customer's phone shows: a fresh code unless ``shown`` says otherwise."""
        again, code = shown.pop("again", False), shown.pop("code", None)
        phone = Phone(self.clock, customer.token, LENDER, customer.cap_minor, self._codes, customer.tier)
        customer.last_code = code or (customer.last_code if again else phone.code(at=self.true_s, **shown))
        return customer.last_code

    def sell(self, till: Till, order: Order, code: str) -> Told:
        try:
            hold = run(till.checkout.sell(order, code))
        except OfferRefused as refused:
            return not_offered(refused.reason)
        self.sold.append((till, order.sale_id))
        return told(till, hold)

    def order(self, amount: Money, category: str, *, sale: str = "", capture: str = "", plan: str = "") -> Order:
        wish = Wish(plan) if plan else None
        return Order(sale or f"sale-{len(self.sold) + 1:04}", amount, category, capture or "at_once", wish)


def told(till: Till, hold: Hold) -> Told:
    """The outcome as journal and counter tell it."""
    entries = [sealed.entry for sealed in till.ledger.sale_entries(hold.sale_id)]
    entry = next(entry for entry in reversed(entries) if entry.kind in DECIDED)
    body = entry.body
    counters = {language: Counter(till.checkout, till.ledger, Events(), language) for language in LANGUAGES}
    return Told(
        {
            "answer": SHOWN_STATES[hold.state],
            "code": body["response_code"],
            "reason": body["reason"],
            "paid by": "backend" if hold.mode == "online" and hold.is_approved else body.get("funding") or "",
            "clock": body.get("clock_source") or "",
            "rules": " ".join(rule[0] for rule in body["rules"]),
            "recorded": datetime.fromtimestamp(entry.recorded_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "on the slip": slip_time(till, hold.sale_id),
            **disclosed(entries),
        },
        {language: counter.view(hold.sale_id)["texts"] for language, counter in counters.items()},
    )


def not_offered(reason: str) -> Told:
    """A plan that cannot be had: the customer is told before anything is recorded."""
    fields: tuple[Field, ...] = ("cashier", "customer", "next")
    texts = {language: {name: text(language, reason, name) for name in fields} for language in LANGUAGES}
    return Told({"answer": "refused", "reason": reason}, texts)


def disclosed(entries: Sequence[Entry]) -> dict[str, str]:
    """What the customer was shown of the plan that was chosen, as the journal has it."""
    entry = next((entry for entry in entries if entry.kind == Kind.DISCLOSURE), None)
    if entry is None:
        return {}
    said = read_statement(entry.body["statement"])
    return {
        "fee": f"{said.fee_minor // 100}.{said.fee_minor % 100:02}",
        "payments": " ".join(f"{payment.minor // 100}.{payment.minor % 100:02}" for payment in said.payments),
        "due": " ".join(str(payment.due) for payment in said.payments),
    }


def slip_time(till: Till, sale_id: str) -> str:
    """The time of the sale as its slip tells it; empty without a slip."""
    label = slip(till.lane.settings.language, "time")
    blocks = [block for job in till.ledger.print_jobs(sale_id) for block in job.slip.document.blocks]
    return next((block.right for block in blocks if isinstance(block, Pair) and block.left == label), "")
