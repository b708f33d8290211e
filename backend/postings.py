"""What a journal entry does to holds, leases and accounts. A table from kind to effect.

The one rule: the lane's journaled outcome wins (lease rule 6), and what cannot be posted is set aside with its reason
for people to look at; it is never dropped and never stops the entries behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from agent.core.authorization import OPEN, HoldEvent, HoldRefused, HoldState, next_state
from agent.core.journal import Entry, Kind
from backend import (
    accounts,
    allowances,
    authorizations,
    epochs,
    holds,
    instalments,
    lanes,
    moves,
    places,
    refunds,
    snapshots,
    visits,
)
from backend.answer_codes import Approval
from backend.database import load, selecting
from backend.entries import Books, Facts, Parked, account_of, amount_of, delta_of, facts_of, key_of, lender_of
from backend.holds import Attempt
from backend.lenders import Lender
from backend.schema import Account, CapUse, Claim, Hold


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an entry. ``minor`` is the amount in question, ``bearer`` who answers for it."""

    result: str = "accepted"
    reason: str | None = None
    account: bytes | None = None
    minor: int = 0
    bearer: str = "operator"


MALFORMED: Final = Result("parked", "entry_malformed")
"""Of an entry that has its place in the chain, and bytes that are no entry."""


_FIND_CLAIM: Final = selecting(
    Claim, Claim.lane == "", Claim.lender == "", Claim.sale_id == "", Claim.attempt == 0
)  # fmt: skip


def post(entry: Entry, books: Books) -> Result:
    """The effect of one entry, to be called inside a transaction. Parked means that it had none but its tombstone, and
    that what its request had set aside is free."""
    effect = _EFFECTS.get(entry.kind)
    if effect is None:
        known = entry.kind in _STORED
        return Result() if known else Result("parked", "kind_unknown")
    try:
        return effect(entry, books)
    except Parked as parked:
        return Result("parked", str(parked), account_of(entry), amount_of(entry))


def _sale(entry: Entry, books: Books) -> Result:
    key, lender = key_of(entry, books), lender_of(entry, books)
    if entry.kind != Kind.ONLINE_INTENT:
        # Whatever the lane decided, a request for this attempt that is still under way must not take effect.
        holds.bury(key, authorizations.tombstone(lender.policy.version, books.now_s))
    facts = facts_of(entry, books)
    hold = holds.find(key)
    try:
        state = next_state(HoldState(hold.state), facts.event)
    except HoldRefused as refused:
        if facts.event is HoldEvent.APPROVE and is_claimed(key):
            if hold.state in OPEN:
                instalments.follow(hold, facts.event, entry, lender)  # a slip does not tell of plans
            return Result("disputed", "claimed_before", facts.account)
        if facts.event in (HoldEvent.REVERSE, HoldEvent.EXPIRE):
            holds.undo_online(hold)
            instalments.undone(hold)
        raise Parked(f"hold_{refused.state}") from None
    result = _MOVES[facts.event](hold, facts)
    hold.state = str(state)
    hold.expires_at = hold.expires_at if state in OPEN else None
    holds.save(hold)
    if facts.event is HoldEvent.APPROVE and facts.account:
        visits.note(facts.account, key.lender, key.lane, entry.recorded_at, facts.amount_minor)
    if facts.event is HoldEvent.APPROVE and hold.account is not None:
        place = places.of_lane(key.lane).place
        moves.note_sale(key, bytes(hold.account), entry.recorded_at, facts.amount_minor, place)
    doubt = instalments.follow(hold, facts.event, entry, lender)
    if doubt is not None and result.reason is None:
        return Result("disputed", doubt.reason, hold.account, doubt.minor, doubt.bearer)
    return result


def _disclosure(entry: Entry, books: Books) -> Result:
    """What a lane showed its customer before it asked anybody to lend."""
    fault = instalments.disclose(entry, key_of(entry, books), lender_of(entry, books))
    if fault is not None:
        raise Parked(fault)
    return Result()


def _intend(hold: Hold, facts: Facts) -> Result:
    """An intent moves no money: what it reserves of the lease counts as outstanding until its outcome."""
    hold.account = hold.account or facts.account
    hold.amount_minor = hold.amount_minor or facts.amount_minor
    return Result()


def _approve(hold: Hold, facts: Facts) -> Result:
    account = accounts.find(facts.lender.lender, facts.account) if facts.account else None
    if account is None:
        raise Parked("account_unknown")
    if not 0 <= facts.delta_minor <= facts.amount_minor:
        raise Parked("body_malformed")
    is_same_account = hold.account is not None and bytes(hold.account) == account.token
    above = allowances.above_limit(account) if hold.online_minor else 0
    undone = holds.undo_online(hold)
    answered = undone if is_same_account else 0
    if facts.is_online and not undone and _is_own_answer(facts):
        answered = facts.amount_minor  # it was given, and forgotten: these books come from a backup
    account = accounts.find(account.lender, account.token)
    assert account is not None
    hold.expires_at = facts.expires_at
    if facts.is_cap and not answered:
        return _use_cap(hold, facts, account)
    excess = holds.approve(
        hold,
        account,
        facts.amount_minor,
        facts.delta_minor,
        epoch=facts.epoch,
        answered_minor=answered,
        above_minor=above,
    )
    if excess:
        reason = "online_not_answered" if facts.is_online and not answered else "lease_excess"
        return Result("disputed", reason, account.token, excess, "lender")
    return _judged(hold, facts, account)


def _is_own_answer(facts: Facts) -> bool:
    approval = Approval(facts.key, facts.account or b"", facts.amount_minor, facts.delta_minor)
    return approval.is_own(facts.code, facts.lender)


def _judged(hold: Hold, facts: Facts, account: Account) -> Result:
    """An approval that is paid for, and still one that people should see: a second one, or a proof used before."""
    if holds.is_sold_otherwise(facts.key):
        return Result("disputed", "sale_approved_twice", account.token, hold.amount_minor, "merchant")
    if facts.cti and not authorizations.consume_proof(account.token, facts.cti, facts.key):
        return Result("disputed", "proof_replayed", account.token, hold.amount_minor, "lender")
    return Result()


def _use_cap(hold: Hold, facts: Facts, account: Account) -> Result:
    """The pass's own cap: the lender's risk, counted apart. Only for an account that the lane had no record of."""
    hold.account, hold.amount_minor = account.token, facts.amount_minor
    CapUse.create(
        account=account.token,
        lender=facts.key.lender,
        lane=facts.key.lane,
        sale_id=facts.key.sale_id,
        attempt=facts.key.attempt,
        at_s=facts.approved_at,
        amount_minor=facts.amount_minor,
    )
    if allowances.has_record(facts.key.lane, facts.epoch, facts.key.lender, account.token):
        return Result("disputed", "cap_with_record", account.token, facts.amount_minor, "merchant")
    if facts.amount_minor > facts.lender.policy.limits.cap_minor_max:
        return Result("disputed", "cap_exceeded", account.token, facts.amount_minor, "merchant")
    return _judged(hold, facts, account)


def _decline(hold: Hold, facts: Facts) -> Result:
    if facts.delta_minor:
        raise Parked("body_malformed")
    holds.undo_online(hold)
    hold.account = hold.account or facts.account
    return Result()


def _capture(hold: Hold, facts: Facts) -> Result:
    """``held_minor`` may be less than what the lane may capture: what no credit covered, and what has lapsed here."""
    rest_minor = hold.amount_minor - holds.captured(hold) - facts.amount_minor
    if rest_minor < 0 or not 0 <= -facts.delta_minor <= (rest_minor if facts.is_final else 0):
        raise Parked("capture_exceeds_hold")
    not_restored = holds.capture(hold, facts.amount_minor, -facts.delta_minor, final=facts.is_final)
    if hold.lapsed:
        return Result("disputed", "hold_expired", hold.account, facts.amount_minor, "merchant")
    return _restored(hold, not_restored)


def _reverse(hold: Hold, facts: Facts) -> Result:
    if not 0 <= -facts.delta_minor <= hold.amount_minor - holds.captured(hold):
        raise Parked("body_malformed")
    return _restored(hold, holds.release(hold, -facts.delta_minor))


def _expire(hold: Hold, facts: Facts) -> Result:
    """It restores nothing at the lane (lease rule 9). What this backend had released before has nothing left to."""
    if facts.delta_minor:
        raise Parked("body_malformed")
    holds.release(hold)
    return Result()


def _restored(hold: Hold, not_restored_minor: int) -> Result:
    if not_restored_minor:
        return Result("disputed", "lease_restore_excess", hold.account, not_restored_minor, "lender")
    return Result()


def _give_back(entry: Entry, books: Books) -> Result:
    """A refund of a captured sale, whole or in part, or its void. Refunds at other lanes, of which its own did not
    know, may have left less than it says."""
    key, lender, amount_minor = key_of(entry, books), lender_of(entry, books), amount_of(entry)
    if not amount_minor:
        raise Parked("body_malformed")
    if entry.body.get("currency") != lender.currency:
        raise Parked("currency_mismatch")
    hold = holds.find(key)
    if hold.state not in GIVES_BACK:
        raise Parked(f"hold_{hold.state}")
    if hold.account is not None:
        moves.note_refund(key, bytes(hold.account), entry.recorded_at, amount_minor, entry.number)
    return given_back(hold, amount_minor, entry)


def given_back(hold: Hold, amount_minor: int, entry: Entry) -> Result:
    """Post a refund or void, as far as there is something left to refund; people see the excess."""
    before_minor, is_void = hold.refunded_minor, entry.kind == Kind.VOID
    excess = holds.refund(hold, amount_minor)
    instalments.refunded(hold, before_minor, entry, is_void=is_void)
    left = holds.captured(hold) - holds.given_back(hold)
    after = HoldState.VOIDED if is_void else HoldState.PARTLY_REFUNDED if left else HoldState.REFUNDED
    hold.state = str(after if holds.given_back(hold) else hold.state)
    holds.save(hold)
    if excess:
        return Result("disputed", "refund_excess", hold.account, excess, "merchant")
    return Result()


def _refund_outcome(entry: Entry, books: Books) -> Result:
    """A refund of another lane's sale of the same merchant, as the asking lane's journal says that it ended."""
    lender, said = lender_of(entry, books), refunds.said_by(entry)
    if said is None:
        raise Parked("body_malformed")
    fault = _refund_fault(entry, said, lender)
    try:
        hold = refunds.settle(entry, replace(said, approved=said.approved and fault is None))
    except refunds.Contradicted as contradicted:
        raise Parked(contradicted.reason) from None
    if fault is not None:
        raise Parked(fault)
    if hold is None:
        return Result()
    if hold.state not in GIVES_BACK:
        return Result("disputed", f"hold_{hold.state}", hold.account, said.amount_minor, "merchant")
    return given_back(hold, said.amount_minor, entry)


def _refund_fault(entry: Entry, said: refunds.Said, lender: Lender) -> str | None:
    """Why such an outcome books nothing; what its request had set aside is free all the same."""
    if entry.body.get("currency") != lender.currency:
        return "currency_mismatch"
    # A decline gives nothing back, whatever lane its slip names.
    return "sale_unknown" if said.approved and not lanes.same_merchant(said.lane, entry.lane) else None


def _lease_return(entry: Entry, books: Books) -> Result:
    """Lease rule 8: what the lane gives back is subtracted like a spend."""
    lender = lender_of(entry, books)
    token, delta = account_of(entry), delta_of(entry)
    if token is None or delta <= 0:
        raise Parked("body_malformed")
    account = accounts.find(lender.lender, token)
    if account is None:
        raise Parked("account_unknown")
    left = allowances.outstanding_at(entry.lane, entry.epoch, lender.lender, token)
    allowances.spend(entry.lane, entry.epoch, lender.lender, token, min(delta, left))
    accounts.touch(account)
    if delta > left:
        return Result("disputed", "lease_return_excess", token, delta - left, "lender")
    return Result()


def _lease_request(entry: Entry, books: Books) -> Result:
    """The lane is short of an account's credit. It moves nothing: the account is in its next layer, due at once."""
    lender = lender_of(entry, books)
    token = account_of(entry)
    if token is None:
        raise Parked("body_malformed")
    account = accounts.find(lender.lender, token)
    if account is None:
        raise Parked("account_unknown")
    accounts.touch(account)
    books.asked.add((entry.lane, lender.lender))
    return Result()


def _epoch_start(entry: Entry, _books: Books) -> Result:
    """The link between two journals of a lane. It moves nothing; people see one that does not hold."""
    return Result() if epochs.follows(entry) else Result("disputed", "epoch_start_mismatch")


def _snapshot_installed(entry: Entry, books: Books) -> Result:
    """Lease rule 2: from here on older grants cannot be spent. Of a layer that does not exist it would mean nothing."""
    lender = lender_of(entry, books)
    sequence = entry.body.get("sequence")
    if type(sequence) is not int or not snapshots.exists(entry.lane, lender.lender, sequence):
        raise Parked("snapshot_unknown")
    allowances.installed(entry.lane, entry.epoch, lender.lender, sequence)
    return Result()


_MOVES: Final[Mapping[HoldEvent, Callable[[Hold, Facts], Result]]] = {
    HoldEvent.INTEND: _intend,
    HoldEvent.APPROVE: _approve,
    HoldEvent.DECLINE: _decline,
    HoldEvent.CAPTURE_PART: _capture,
    HoldEvent.CAPTURE: _capture,
    HoldEvent.REVERSE: _reverse,
    HoldEvent.EXPIRE: _expire,
}

GIVES_BACK: Final = frozenset({HoldState.CAPTURED, HoldState.PARTLY_REFUNDED, HoldState.REFUNDED, HoldState.VOIDED})
"""States in which the lane may say that it gave money back: others may have done so before its word came."""

_EFFECTS: Final[Mapping[str, Callable[[Entry, Books], Result]]] = {
    Kind.EPOCH_START: _epoch_start,
    Kind.DISCLOSURE: _disclosure,
    Kind.ONLINE_INTENT: _sale,
    Kind.ONLINE_OUTCOME: _sale,
    Kind.AUTHORIZATION: _sale,
    Kind.DECLINE: _sale,
    Kind.CAPTURE: _sale,
    Kind.REVERSAL: _sale,
    Kind.EXPIRY: _sale,
    Kind.VOID: _give_back,
    Kind.REFUND: _give_back,
    Kind.REFUND_OUTCOME: _refund_outcome,
    Kind.LEASE_RETURN: _lease_return,
    Kind.LEASE_REQUEST: _lease_request,
    Kind.SNAPSHOT_INSTALLED: _snapshot_installed,
}

_STORED: Final = frozenset(Kind) - frozenset(_EFFECTS)
"""Known kinds that move nothing here: their bytes are the record."""


def is_claimed(key: Attempt) -> bool:
    """Whether a slip told of this attempt before the journal did (lease rule 17)."""
    return load(Claim, _FIND_CLAIM, key.lane, key.lender, key.sale_id, key.attempt) is not None
