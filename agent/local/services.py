"""What the local API serves: the services of one lane, and its own facts.

The one rule: made once, by whoever puts the lane together; a call asks nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.core.money import Money, MoneyError
from agent.local.page_links import PageLinks
from agent.local.requests import BadRequest
from agent.ports import PrintResult
from agent.services.checkout import Checkout
from agent.services.counter import Counter
from agent.services.earlier_sales import EarlierSales
from agent.services.events import Events
from agent.services.hold_desk import HoldDesk
from agent.services.insights import Insights
from agent.services.lease_desk import LeaseDesk
from agent.services.operators import OperatorDesk
from agent.services.restoration import Restoration
from agent.services.settlement import Settlement
from agent.services.shifts import Shifts
from agent.services.slip_desk import SlipDesk
from agent.services.slip_refunds import SlipRefunds
from agent.texts import Language


@dataclass(frozen=True, slots=True)
class Shop:
    """What page and display say of the shop; ``language`` is what they begin with."""

    name: str
    store_name: str
    language: Language


@dataclass(frozen=True, slots=True)
class LocalServices:
    """One lane. ``scene``: what a trainee lets happen; None: this is no training counter.

    ``explain`` and ``claim`` take a sale id and the code of a slip. ``draw_code`` makes an SVG of a QR code's text.
    ``act_virtually`` takes what is done, to which device, and what is scanned; it raises DeviceUnavailable.
    """

    counter: Counter
    checkout: Checkout
    holds: HoldDesk
    slip_refunds: SlipRefunds
    lane: str
    settlement: Settlement
    leases: LeaseDesk
    restoration: Restoration
    earlier: EarlierSales
    insights: Insights
    slips: SlipDesk
    operators: OperatorDesk
    shifts: Shifts
    events: Events
    category: str
    currency: str
    lenders: Callable[[], Sequence[str]]
    new_sale_id: Callable[[], str]
    status: Callable[[], dict[str, Any]]
    explain: Callable[[str], dict[str, Any] | None]
    verify_journal: Callable[[], Awaitable[dict[str, Any]]]
    check_devices: Callable[[], Awaitable[list[dict[str, Any]]]]
    print_test: Callable[[], Awaitable[PrintResult | None]]
    open_drawer: Callable[[], Awaitable[dict[str, Any] | None]]
    test_display: Callable[[], Awaitable[dict[str, Any] | None]]
    act_virtually: Callable[[str, str, str], Awaitable[str]]
    claim: Callable[[str], Awaitable[dict[str, Any]]]
    scene: Callable[[str], Awaitable[dict[str, Any]]] | None
    shop: Shop
    wallets: Mapping[str, str]
    draw_code: Callable[[str], bytes]
    page_links: PageLinks

    def amount_of(self, minor: int, currency: str) -> Money:
        """An amount that this lane can sell. Raises MoneyError."""
        amount = Money(minor, currency)
        if currency != self.currency:
            raise MoneyError(f"this lane sells in {self.currency}, not in {currency}")
        return amount

    def lender_of(self, asked: str | None) -> str:
        """The lender that was named, or the first. Raises BadRequest."""
        lenders = self.lenders()
        if asked is not None and asked not in lenders:
            raise BadRequest(404, "lender_unknown", f"{asked} is not a lender of this lane.")
        return asked or lenders[0]
