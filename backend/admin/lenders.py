"""Operations on the lenders themselves: who gives credit here.

The one rule: a lender comes with keys, a policy and books of its own; it shares nothing with the others but the lanes.
"""

from __future__ import annotations

import re
from typing import Final

from peewee import fn

from agent.core.introduction import LENDER_ID, NAME_CHARS_MAX
from agent.core.snapshot_manifest import NAME
from backend import lenders
from backend.admin.operation import Answer, Refused
from backend.admin.words import moment
from backend.compose import Backend
from backend.database import rows, transact
from backend.lenders import Lender, load_all
from backend.schema import Account

CURRENCY: Final = re.compile(r"[A-Z]{3}")


def add(backend: Backend, *, lender: str, name: str, currency: str, merchants: list[str] | None = None) -> Answer:
    """A lender with fresh keys and the default policy, for the lanes of these merchants, or of all. Lanes that are
    enrolled meet it with their next heartbeat."""
    if not LENDER_ID.fullmatch(lender):
        raise Refused(f"{lender!r} is no lender id: {LENDER_ID.pattern}")
    if lender in backend.rails:
        raise Refused(f"{lender} is a wallet's rail")
    if not 0 < len(name) <= NAME_CHARS_MAX or not CURRENCY.fullmatch(currency):
        raise Refused(f"a name has 1 to {NAME_CHARS_MAX} characters, a currency three capital letters (ISO 4217)")

    def work() -> Lender:
        now_s = backend.clock()
        if lender in load_all(now_s):
            raise Refused(f"there is a lender {lender} already")
        is_training = any(known.key_list.is_training for known in backend.lenders.values())
        lenders.create(
            lender, name, currency, now_s=now_s, randomness=backend.randomness, is_training=is_training
        )  # fmt: skip
        lenders.set_merchants(lender, _checked(merchants or []))
        return load_all(now_s)[lender]

    return _to_json(transact(backend.database, work))


def set_merchants(backend: Backend, *, lender: str, merchants: list[str]) -> Answer:
    """Whose lanes the lender serves from now on; none named: every merchant's. Lanes that it leaves stand in no more
    for it when what they hold of it has run out; what they have sold is still taken in, matched and paid."""

    def work() -> Lender:
        known = load_all(backend.clock())
        if lender not in known:
            raise Refused(f"there is no lender {lender}; here are {', '.join(known)}")
        lenders.set_merchants(lender, _checked(merchants))
        return load_all(backend.clock())[lender]

    return _to_json(transact(backend.database, work))


def every(backend: Backend, /) -> Answer:
    """Every lender, with what is in force and what its accounts come to."""
    return {"lenders": [_to_json(known) for known in load_all(backend.clock()).values()]}


def _checked(merchants: list[str]) -> list[str]:
    for merchant in merchants:
        if NAME.fullmatch(merchant) is None:
            raise Refused(f"{merchant!r} is no name of a merchant: {NAME.pattern}")
    return merchants


def _to_json(known: Lender) -> Answer:
    """Sums over all accounts of the lender, in minor units of its currency."""
    sums = Account.select(
        fn.COUNT(Account.token), fn.SUM(Account.limit_minor), fn.SUM(Account.used_minor), fn.SUM(Account.held_minor)
    )
    count, limits, used, held = rows(sums.where(Account.lender == known.lender))[0]
    return {
        "lender": known.lender,
        "name": known.name,
        "currency": known.currency,
        "merchants": ", ".join(sorted(known.merchants)) or "all",
        "keys_version": known.key_list.version,
        "policy_version": known.policy.version,
        "policy_until": moment(known.policy.expires_at),
        "accounts": int(count),
        "limit_minor": int(limits or 0),
        "used_minor": int(used or 0),
        "held_minor": int(held or 0),
    }
