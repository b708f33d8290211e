"""What all journals together say was captured, given back, and bought with a coupon.

The one rule: by the amounts of the entries alone, whatever the product makes of them. What two lanes did without
knowing of each other may be too much; then all of it that is too much is before people, to the unit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from agent.core.authorization import Hold, HoldState
from agent.core.journal import Entry, Kind
from agent.simulation.backend_process import Credit
from backend import holds
from backend.schema import Dispute
from backend.schema import Hold as BackendHold

GIVEN_TWICE: Final = "refund_excess"
USED_TWICE: Final = "coupon_used"
FOR_PEOPLE: Final = frozenset({GIVEN_TWICE, USED_TWICE})
"""Disputes that lanes cut off from each other may cause; these checks tell whether they are the right ones."""

FREES_ITS_COUPON: Final = frozenset({HoldState.DECLINED, HoldState.REVERSED, HoldState.EXPIRED, HoldState.VOIDED})


class Attempt(NamedTuple):
    lane: str
    sale_id: str
    number: int


Holds = Mapping[Attempt, Hold]


class Tally:
    """``violated`` hears of every broken promise."""

    def __init__(self, violated: Callable[[str], None]) -> None:
        self._violated = violated
        self._captured: Counter[Attempt] = Counter()
        self._given_back: Counter[Attempt] = Counter()
        self._by_slip: Counter[Attempt] = Counter()
        self._refunded_at: set[tuple[str, str]] = set()

    def recorded(self, key: Attempt, entry: Entry, *, has_forgotten: bool) -> None:
        """An entry of a sale at its own lane; one that ``has_forgotten`` some gives back what it does not know of."""
        if entry.kind == Kind.CAPTURE:
            self._captured[key] += entry.body["amount_minor"]
        elif entry.kind in (Kind.VOID, Kind.REFUND):
            self._given_back[key] += entry.body["amount_minor"]
        given_back, captured = self._given_back[key], self._captured[key]
        if given_back > captured and not has_forgotten:
            self._violated(f"promise 3: {key.sale_id} gave back {given_back} of {captured} captured")

    def recorded_of_slip(self, entry: Entry) -> None:
        """An entry of a lane that may be about another lane's sale."""
        body = entry.body
        if entry.kind != Kind.REFUND_OUTCOME or not body["approved"]:
            return
        self._refunded_at.add((entry.lane, body["sale_id"]))
        key = Attempt(body["lane"], body["sale_id"], body["attempt"])
        self._by_slip[key] += body["amount_minor"]
        if self._by_slip[key] > self._captured[key]:
            self._violated(f"promise 3: {key.sale_id} gave back {self._by_slip[key]} by its slip alone")

    def by_slip(self, key: Attempt) -> int:
        """What other lanes gave back of a sale, minor units."""
        return self._by_slip[key]

    def refunded_at(self, lane: str, sale_id: str) -> bool:
        """Whether this lane has given back some of a sale of another one."""
        return (lane, sale_id) in self._refunded_at

    def check_coupon(self, key: Attempt, known: Holds) -> None:
        """A lane knows its own sales: no second one of them is bought with the same coupon."""
        hold = known[key]
        twice = [other for other in _with_coupon(hold, known) if other.lane == key.lane and other[:2] != key[:2]]
        if hold.coupon is not None and twice:
            self._violated(f"promise 3: {key.sale_id} and {twice[0].sale_id} of {key.lane} used one coupon")

    def check_books(self, known: Holds, has_forgotten: Iterable[str]) -> None:
        """At the end: the backend gave back what the lanes did, never more than was captured, and disputes the rest;
        and of the sales with one coupon all but one are disputed."""
        excess, ignored = Counter[Credit](), frozenset(has_forgotten)
        for row in BackendHold.select().where(BackendHold.lane.not_in(ignored)):
            hold = known.get(Attempt(row.lane, row.sale_id, row.attempt))
            if hold is None or hold.account is None:
                continue
            told = hold.refunded_minor + self._by_slip[Attempt(row.lane, row.sale_id, row.attempt)]
            mine, theirs = (hold.captured_minor, min(told, hold.captured_minor)), (holds.captured(row), _given(row))
            excess[hold.lender, hold.account] += max(0, told - hold.captured_minor)
            if mine != theirs:
                self._violated(f"promise 3: {row.sale_id} captured and gave back {mine} at {row.lane}, {theirs} there")
        disputed = _disputed(GIVEN_TWICE)
        if not ignored and excess != disputed:
            self._violated(f"promise 3: refunds of {excess - disputed} are too much and nobody is told")
        self._check_coupons_told(known)

    def _check_coupons_told(self, known: Holds) -> None:
        sales: dict[tuple[str, bytes, bytes], int] = defaultdict(int)
        for hold in known.values():
            if hold.coupon is not None and hold.account is not None and hold.is_approved:
                sales[hold.lender, hold.account, hold.coupon] += hold.state not in FREES_ITS_COUPON
        told = Counter(credit for credit, _ in _disputes(USED_TWICE))
        twice = Counter[Credit]()
        for (lender, account, _), count in sales.items():
            twice[lender, account] += max(0, count - 1)
        if untold := twice - told:
            self._violated(f"promise 3: coupons were used twice and nobody is told: {untold}")


def _with_coupon(hold: Hold, known: Holds) -> Iterator[Attempt]:
    return (
        key
        for key, other in known.items()
        if (other.lender, other.coupon) == (hold.lender, hold.coupon)
        and other.is_approved
        and other.state not in FREES_ITS_COUPON
    )


def _given(row: BackendHold) -> int:
    return holds.given_back(row)


def _disputed(reason: str) -> Counter[Credit]:
    total = Counter[Credit]()
    for credit, minor in _disputes(reason):
        total[credit] += minor
    return total


def _disputes(reason: str) -> Iterator[tuple[Credit, int]]:
    for row in Dispute.select().where(Dispute.reason == reason):
        assert row.lender is not None and row.account is not None, "a dispute of a sale names whose it is"
        yield (row.lender, bytes(row.account)), row.amount_minor


def is_before_people(lane: str) -> bool:
    """Whether a lane has done what another one had done before, so that its day does not match."""
    return bool(Dispute.select().where(Dispute.lane == lane, Dispute.reason.in_(sorted(FOR_PEOPLE))).exists())
