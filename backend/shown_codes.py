"""Codes that a lane shows for an attempt of a sale: registered by the lane, paid by the first app that scans them.

The one rule: a code is paid once, exactly as it was registered, before its time is over and before anything else was
decided about its attempt. The account answers for it like for any other online sale, so its limit holds.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Final

from peewee import fn

from agent.core.authorization import FINAL, UNDECIDED
from agent.core.merchant_code import MerchantCodeError, Presented, read_code, reference_of
from agent.core.money import Money
from backend import accounts, authorizations, holds, lanes
from backend.authorizations import Verdict
from backend.database import inserting, load, put, selecting
from backend.holds import Attempt
from backend.lenders import Lender
from backend.problems import Problem
from backend.rules import Shown
from backend.schema import ShownCode
from backend.wire import Amount, AuthorizationRequest, rfc3339, write

PENDING: Final = ("09", "code_shown")
"""Response code (ISO 8583 field 39: request in progress) and text key while nobody has paid."""

_FIND: Final = selecting(
    ShownCode, ShownCode.lane == "", ShownCode.lender == "", ShownCode.sale_id == "", ShownCode.attempt == 0
)  # fmt: skip
_FIND_REFERENCE: Final = selecting(ShownCode, ShownCode.reference == "", ShownCode.lender == "")
_REGISTER: Final = inserting(ShownCode)
_SAVE: Final = inserting(ShownCode, "REPLACE")


class CodeRefused(Exception):
    """The app's customer is told why a code is not paid; the message is a sentence, ``reason`` a stable word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def register(request: AuthorizationRequest, raw: bytes, lane: str, *, lender: Lender, now_s: int) -> bytes:
    """How the attempt of a shown code stands; it is pending until somebody pays it. To be called inside a transaction.

    Raises Problem: idempotency_conflict, malformed for a code of anything else than this attempt.
    """
    key, said = Attempt(lane, request.lender, request.sale_id, request.attempt), hashlib.sha256(raw).digest()
    authorizations.check_same(key, said)
    row = _find(key)
    if row is not None and bytes(row.request_hash) != said:
        raise Problem("idempotency_conflict", f"attempt {request.attempt} of {request.sale_id}")
    if row is None and authorizations.stored(key) is None:
        row = _begin(request, key, said, now_s)
        refusal = _refused(request, key, lender)
        if refusal is not None:
            authorizations.keep(key, said, authorizations.declined(refusal), lender, request.amount, now_s=now_s)
    return inquire(key, lender=lender, now_s=now_s)


def inquire(key: Attempt, *, lender: Lender, now_s: int) -> bytes:
    """How the attempt stands now: decided, pending, or over because nobody paid in time. To be called inside a
    transaction. Raises Problem("authorization_unknown")."""
    stored, row = authorizations.stored(key), _find(key)
    if stored is not None:
        return bytes(stored.answer)
    if row is None:
        raise Problem("authorization_unknown")
    if now_s < row.expires_at:
        return _pending(row)
    over, amount = authorizations.declined("code_expired"), _amount_of(row, lender)
    return authorizations.keep(key, bytes(row.request_hash), over, lender, amount, now_s=now_s)


def pay(text: str, account: bytes, *, lender: Lender, now_s: int) -> bytes:
    """What the lender's app does that has scanned ``text``: the account pays, and the lane's attempt is approved. The
    same account may ask again. To be called inside a transaction. Raises CodeRefused."""
    row = _scanned(text, lender)
    key = Attempt(row.lane, row.lender, row.sale_id, row.attempt)
    stored = authorizations.stored(key)
    if stored is not None:
        if row.payer is None or bytes(row.payer) != account or holds.find(key).state in FINAL:
            raise CodeRefused("code_over", "This code was paid already, or the counter has ended it.")
        return bytes(stored.answer)
    if now_s >= row.expires_at:
        raise CodeRefused("code_expired", "This code is too old; the counter can show a new one.")
    _check_lane(row)
    if holds.is_open_otherwise(key):  # the counter has gone on without this code, and its word of that is under way
        raise CodeRefused("code_over", "The sale was paid in another way.")
    verdict = _paid(row, key, account, lender, now_s)
    row.payer, row.paid_number = account, _next_number(row.lane)
    put(ShownCode, _SAVE, row.__data__)
    amount = _amount_of(row, lender)
    return authorizations.keep(key, bytes(row.request_hash), verdict, lender, amount, now_s=now_s, payer=account)


def _begin(request: AuthorizationRequest, key: Attempt, said: bytes, now_s: int) -> ShownCode:
    shown = request.merchant_code
    assert shown is not None, "only a request that shows a code comes here"
    code = _read(shown.text)
    expected = Presented(
        key.lender,
        lanes.find(key.lane).merchant,
        reference_of(key.lane, key.sale_id, key.attempt),
        Money(request.amount.minor, request.amount.currency),
    )
    if code != expected:
        raise Problem("malformed", "merchant_code.text: it is not of this attempt")
    row = asdict(key) | {
        "request_hash": said,
        "reference": code.reference,
        "text": shown.text,
        "epoch": request.epoch,
        "amount_minor": request.amount.minor,
        "category": request.category,
        "shown_at": now_s,
        "expires_at": now_s + shown.valid_s,
        "paid_number": 0,
    }
    put(ShownCode, _REGISTER, row)
    found = _find(key)
    assert found is not None, "it was written just now"
    return found


def _read(text: str) -> Presented:
    try:
        return read_code(text)
    except MerchantCodeError as error:
        raise Problem("malformed", f"merchant_code.text: {error}") from None


def _refused(request: AuthorizationRequest, key: Attempt, lender: Lender) -> str | None:
    """Why nobody needs to scan this code."""
    if request.amount.currency != lender.currency:
        return "currency_mismatch"
    is_decided = holds.find(key).state not in UNDECIDED
    return "tombstoned" if is_decided or holds.is_sold_otherwise(key) else None


def _scanned(text: str, lender: Lender) -> ShownCode:
    """The code as its lane registered it. A customer who has changed the amount changed the checksum too."""
    try:
        code = read_code(text)
    except MerchantCodeError as error:
        raise CodeRefused("code_malformed", str(error)) from None
    row: ShownCode | None = load(ShownCode, _FIND_REFERENCE, code.reference, lender.lender)
    if row is None:
        raise CodeRefused("code_unknown", "No counter shows such a code.")
    if row.text != text:
        raise CodeRefused("code_changed", "This is not the code that the counter shows.")
    return row


def _check_lane(row: ShownCode) -> None:
    """A device that lost its place, or whose journal went on without this sale, hears of no payment."""
    try:
        lanes.of_epoch(row.lane, row.epoch)
        state = lanes.journal(row.lane, row.epoch).state
    except Problem:
        state = ""
    if state != lanes.OPEN:
        raise CodeRefused("code_over", "The counter that showed this code is not in service.")


def _paid(row: ShownCode, key: Attempt, token: bytes, lender: Lender, now_s: int) -> Verdict:
    """The verdict of an approval; a refusal leaves the code as it was, for another account. Raises CodeRefused."""
    account = accounts.find(lender.lender, token)
    if account is None:
        raise CodeRefused("account_unknown", "The lender has no such account.")
    shown = Shown(row.amount_minor, row.category, account.tier, is_user_verified=True)
    verdict = authorizations.judge(account, shown, key, lender, now_s, epoch=row.epoch)
    if not verdict.is_approved:
        raise CodeRefused(verdict.reason, f"The lender declines: {verdict.reason} ({verdict.response_code}).")
    return verdict


def _next_number(lane: str) -> int:
    """Of the lane's paid codes: whoever listens for them is told of a greater one."""
    newest = ShownCode.select(fn.MAX(ShownCode.paid_number)).where(ShownCode.lane == lane).scalar()
    return (newest or 0) + 1


def _pending(row: ShownCode) -> bytes:
    """The same bytes for as long as nobody has paid."""
    members = {
        "approved": False,
        "response_code": PENDING[0],
        "reason": PENDING[1],
        "rules": [],
        "policy_version": 0,
        "authorization_code": None,
        "amount": None,
        "lease_used_minor": 0,
        "decided_at": rfc3339(row.shown_at),
        "pending": True,
    }
    return write(members)


def _amount_of(row: ShownCode, lender: Lender) -> Amount:
    return Amount(minor=row.amount_minor, currency=lender.currency)


def _find(key: Attempt) -> ShownCode | None:
    return load(ShownCode, _FIND, key.lane, key.lender, key.sale_id, key.attempt)
