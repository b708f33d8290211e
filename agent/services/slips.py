"""A receipt laid out as a printable document, in the words of the catalogue, and the claim that goes onto its paper.

The one rule: the amount and whether the sale went through can be read at arm's length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agent.core.cose import Signer
from agent.core.journal import Entry, Kind
from agent.core.money import Money
from agent.core.receipt import APPROVED, Receipt, Seller, masked
from agent.core.slip_claim import SlipClaim, make_claim
from agent.ports import Ledger, Slip
from agent.services import statements
from agent.services.shown_codes import ShownCode
from agent.texts import Language, slip, statement_label, text
from drivers.document import Block, Cut, Document, Feed, Pair, Qr, Rule, Text


def sale_slip(receipt: Receipt, language: Language) -> Document:
    """The customer's slip of a sale, or of what became of it later; before it the part that the merchant keeps."""

    def label(key: str) -> str:
        return slip(language, key)

    seller = receipt.seller
    offline = "offline_guaranteed" if receipt.is_guaranteed else "offline"
    mode = label("online" if receipt.is_online else offline)
    return Document(
        (
            *(_signed(receipt, label) if receipt.is_signed else ()),
            Text(seller.merchant, align="center", bold=True),
            Text(seller.store, align="center"),
            Rule(),
            Text(label(receipt.occasion), align="center", bold=True, size="double"),
            Text(str(receipt.amount), align="center", bold=True, size="double"),
            *((Text(label("held"), align="center", bold=True),) if receipt.is_held else ()),
            *((Text(mode, align="center"),) if receipt.occasion == APPROVED else ()),
            *((Text(text(language, receipt.reason, "customer"), align="center"),) if receipt.reason else ()),
            Rule(),
            *((Pair(label("sold"), str(receipt.sold)),) if receipt.sold is not None else ()),
            *((Pair(label("sold_at"), receipt.sold_at),) if receipt.sold_at is not None else ()),
            *_left(receipt, label),
            *_payer(receipt, label),
            *_given(label("authorization_code"), receipt.authorization_code),
            Pair(label("response_code"), receipt.response_code),
            Pair(label("time"), receipt.local_time),
            Pair(label("lane"), seller.lane),
            Pair(label("entry_number"), f"{receipt.entry.epoch}-{receipt.entry.number}"),
            Text(f"{label('sale_id')}: {receipt.sale_id}"),
            Rule(),
            *_instalments(receipt, language),
            Qr(receipt.code),
            Text(label("scan_to_look_up"), align="center"),
            Text(label("thanks"), align="center"),
            Feed(1),
            Cut(),
        ),
        language,
    )


def code_slip(code: ShownCode, seller: Seller, lender: str, until: str, language: Language) -> Document:
    """A strip with the lane's own code: it is no receipt, and says so."""
    return Document(
        (
            Text(seller.merchant, align="center", bold=True),
            Text(seller.store, align="center"),
            Rule(),
            Text(str(code.amount), align="center", bold=True, size="double"),
            Text(slip(language, "scan_to_pay"), align="center", bold=True),
            Text(lender, align="center"),
            Qr(code.text),
            Pair(slip(language, "pay_until"), until),
            Text(slip(language, "no_receipt"), align="center"),
            Feed(1),
            Cut(),
        ),
        language,
    )


def _signed(receipt: Receipt, label: Callable[[str], str]) -> tuple[Block, ...]:
    """What the merchant keeps: enough to find the sale again, and a line to sign on."""
    return (
        Text(receipt.seller.merchant, align="center", bold=True),
        Text(str(receipt.amount), align="center", bold=True, size="double"),
        Pair(label("time"), receipt.local_time),
        *_given(label("authorization_code"), receipt.authorization_code),
        Text(f"{label('sale_id')}: {receipt.sale_id}"),
        Feed(3),
        Rule(),
        Text(label("signature"), align="center"),
        Feed(1),
        Cut(),
    )


def _left(receipt: Receipt, label: Callable[[str], str]) -> tuple[Block, ...]:
    """What a refund leaves to be paid of the instalments."""
    if receipt.plan_left_minor is None:
        return ()
    if not receipt.plan_left_minor:
        return (Text(label("plan_nothing_left")),)
    return (Pair(label("plan_left"), str(Money(receipt.plan_left_minor, receipt.amount.currency)), bold=True),)


def _payer(receipt: Receipt, label: Callable[[str], str]) -> tuple[Pair, ...]:
    if not receipt.account:
        return (Pair(label("wallet"), receipt.lender),)
    account = "" if receipt.account == masked(None) else receipt.account
    return (Pair(label("lender"), receipt.lender), *_given(label("account"), account))


def _given(label: str, text: str) -> tuple[Pair, ...]:
    """A row; none where nothing is known: a refund of another lane's sale knows neither its account nor its code."""
    return (Pair(label, text),) if text else ()


def _instalments(receipt: Receipt, language: Language) -> tuple[Block, ...]:
    """The statement of the plan, as it was shown before the sale."""
    if receipt.plan is None:
        return ()
    title = Text(statement_label(language, "title"), align="center", bold=True)
    return (title, *map(_row, statements.rows(receipt.plan, language)), Rule())


def _row(row: statements.Row) -> Block:
    return Pair(row.label, row.figure, bold=row.is_prominent) if row.figure else Text(row.label)


def local_time(at_s: int, zone: str) -> str:
    """UTC seconds as the store's wall clock with its offset: ``2026-11-22 18:05:09 +08:00``."""
    moment = datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(zone))
    return f"{moment:%Y-%m-%d %H:%M:%S} {utc_offset(moment)}"


def utc_offset(moment: datetime) -> str:
    """How far its clock is from UTC: ``+08:00``."""
    offset = moment.strftime("%z")
    return f"{offset[:3]}:{offset[3:]}"


class Claims:
    """Puts the lane's signed claim into the code of a stand-in approval's slip (lease rule 17).

    It is signed when the slip is printed and not when the sale is recorded: nobody at the counter waits for it.
    """

    def __init__(self, ledger: Ledger, journal_key: Signer) -> None:
        self._ledger, self._journal_key = ledger, journal_key

    def printed(self, slip: Slip) -> Document:
        """The slip as it goes to paper; whatever is no stand-in approval goes as it is. Raises ledger faults."""
        entries = (sealed.entry for sealed in self._ledger.sale_entries(slip.sale_id)) if slip.sale_id else ()
        for entry in entries:
            if entry.kind == Kind.AUTHORIZATION and entry.attempt == slip.attempt:
                return with_code(slip.document, make_claim(claim_of(entry), self._journal_key))
        return slip.document


def claim_of(entry: Entry) -> SlipClaim:
    """What a slip claims: what the journal entry of its authorization says."""
    body = entry.body
    lease = body["lease"] or {"epoch": None, "delta_minor": 0}
    return SlipClaim(
        lane=entry.lane,
        epoch=entry.epoch,
        lender=entry.lender or "",
        sale_id=entry.sale_id or "",
        attempt=entry.attempt or 0,
        account=body["account"],
        amount_minor=body["amount_minor"],
        currency=body["currency"],
        approved_at=entry.recorded_at,
        lease_epoch=lease["epoch"],
        delta_minor=lease["delta_minor"],
    )


def with_code(document: Document, code: str) -> Document:
    """The document with another text in its QR code."""
    blocks = tuple(replace(block, data=code) if isinstance(block, Qr) else block for block in document.blocks)
    return replace(document, blocks=blocks)
