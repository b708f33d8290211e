"""A trial of policies: people who never lived shop for some weeks after the history that policies know, lines fail,
and what each policy's leases cover of the offline sales is added up beside the credit that they tie up.

The one rule: a policy sees what lies before the moment it plans at, and only the oracle sees more.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backend.planner import habits as habits_of
from backend.planner import outages, policy
from backend.planner.habits import Habits
from backend.planner.outages import Outages
from backend.planner.policy import Plan, Seen
from backend.planner.rules import DAY_S, Rules
from backend.population import customers
from backend.population import town as towns
from backend.population.town import Store

PERIOD_S: Final = 2 * DAY_S
"""A plan holds so long: the life of a lease."""

FIRST_DAY: Final = 20_400
"""Of the history: 2025-11-08."""

REGULAR_VISITS: Final = 4
"""A regular of a lane was there so often in the weeks before the trial: every other week."""


@dataclass(frozen=True, slots=True)
class Person:
    """A credit limit, and all visits in order of time, those of the trial too."""

    limit_minor: int
    visits: Sequence[Seen]

    def between(self, from_s: int, to_s: int) -> Sequence[Seen]:
        first = bisect_left(self.visits, from_s, key=lambda seen: seen.at_s)
        return self.visits[first : bisect_left(self.visits, to_s, first, key=lambda seen: seen.at_s)]


@dataclass(frozen=True, slots=True)
class Trial:
    """People, the outages of their lanes, and the moments at which plans are made."""

    people: Sequence[Person]
    town: Sequence[Store]
    outages: Outages
    plans_at: Sequence[int]

    @property
    def ends_at(self) -> int:
        return self.plans_at[-1] + PERIOD_S

    def habits(self, rules: Rules) -> Habits:
        """What is known of everybody when the trial begins. Raises ValueError if nobody bought anything."""
        began_s = self.plans_at[0]
        baskets = (who.between(began_s - rules.history_s, began_s) for who in self.people)
        found = habits_of.learn([seen.amount_minor for seen in known] for known in baskets)
        if found is None:
            raise ValueError("nobody bought anything before the trial")
        return found


Policy = Callable[[Person], Sequence[Plan]]
"""A plan for each moment of a trial."""


@dataclass(frozen=True, slots=True)
class Score:
    """Ratios in thousandths, rounded down: credit tied up of all credit; offline turnover covered, of the regulars of
    the lane, of those of the store, of all. ``leases`` is their number, an account's mean in hundredths."""

    tied: int
    regulars: int
    store_regulars: int
    everybody: int
    leases: int


def set_up(seed: int, *, accounts: int, stores: int, lanes: int, history_d: int, days: int) -> Trial:
    """A town, its people with history and future, and ``days`` of outages. Raises ValueError as ``town.build``."""
    town = towns.build(seed, stores=stores, lanes=lanes)
    began_s = (FIRST_DAY + history_d) * DAY_S - customers.TIME_ZONE_S
    people = [_person(seed, number, town, history_d + days) for number in range(accounts)]
    plans_at = range(began_s, began_s + days * DAY_S, PERIOD_S)
    return Trial(people, town, outages.of_town(seed, town, began_s, began_s + days * DAY_S), plans_at)


def _person(seed: int, number: int, town: Sequence[Store], days: int) -> Person:
    who = customers.customer(seed, number, town)
    made = customers.visits(seed, number, who, town, first_day=FIRST_DAY, days=days)
    return Person(who.limit_minor, [Seen(visit.at_s, visit.lane, visit.amount_minor) for visit in made])


def try_out(trial: Trial, leases: Policy, *, place: Mapping[str, str] | None = None) -> Score:
    """What a policy brings. ``place``: what of a lane the plan's leases belong to, if not to the lane itself."""
    tied = granted = credit = 0
    turnover: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    for who in trial.people:
        plans = leases(who)
        credit += who.limit_minor * len(plans)
        tied += sum(sum(each.values()) for each in plans)
        granted += sum(map(len, plans))
        for amount, groups, is_covered in _offline(trial, who, plans, place or {}):
            turnover.update(dict.fromkeys(groups, amount))
            covered.update(dict.fromkeys(groups if is_covered else (), amount))
    share = {group: covered[group] * 1000 // max(1, turnover[group]) for group in ("regulars", "store_regulars", "all")}
    mean = granted * 100 // (len(trial.people) * len(trial.plans_at))
    return Score(tied * 1000 // credit, share["regulars"], share["store_regulars"], share["all"], mean)


def _offline(
    trial: Trial, who: Person, plans: Sequence[Plan], place: Mapping[str, str]
) -> Iterator[tuple[int, list[str], bool]]:
    """Each sale that the person tries at a lane that is cut off: amount, whose it is, whether a lease covers it.

    A lane that is cut off keeps the lease it had when that began, and spends it once.
    """
    began_s = trial.plans_at[0]
    store_of = {lane: store.name for store in trial.town for lane in store.lanes}
    history = who.between(0, began_s)
    at_lane = Counter(seen.lane for seen in history)
    at_store = Counter(store_of[seen.lane] for seen in history)
    left: dict[tuple[str, int], int] = {}
    for seen in who.between(began_s, trial.ends_at):
        outage = outages.at(trial.outages[seen.lane], seen.at_s)
        if outage is None:
            continue
        where = place.get(seen.lane, seen.lane)
        plan = plans[(outage.from_s - began_s) // PERIOD_S]
        lease = left.setdefault((where, outage.from_s), plan.get(where, 0))
        is_covered = seen.amount_minor <= lease
        left[where, outage.from_s] -= seen.amount_minor * is_covered
        is_regular = at_lane[seen.lane] >= REGULAR_VISITS
        is_known = at_store[store_of[seen.lane]] >= REGULAR_VISITS
        yield seen.amount_minor, ["all", *["regulars"] * is_regular, *["store_regulars"] * is_known], is_covered


def planner(trial: Trial, rules: Rules, *, place: Mapping[str, str] | None = None) -> Policy:
    """The policy of this package, planning anew every period."""
    habits, places = trial.habits(rules), place or {}

    def leases(who: Person) -> list[Plan]:
        plans: list[Plan] = []
        for now_s in trial.plans_at:
            known = who.between(now_s - rules.history_s, now_s)
            visits = [seen._replace(lane=places.get(seen.lane, seen.lane)) for seen in known] if places else known
            before = plans[-1] if plans else {}
            plans.append(policy.plan(visits, who.limit_minor, rules, habits, before=before, now_s=now_s))
        return plans

    return leases


def equal_split(trial: Trial, rules: Rules, share: int) -> Policy:
    """So many thousandths of an account's credit, in equal parts for all lanes where it was seen."""

    def leases(who: Person) -> list[Plan]:
        seen = ({seen.lane for seen in who.between(now_s - rules.history_s, now_s)} for now_s in trial.plans_at)
        return [{lane: who.limit_minor * share // 1000 // len(lanes) for lane in lanes} for lanes in seen]

    return leases


def flat(trial: Trial, allowance_minor: int) -> Policy:
    """The same for every account at every lane, in the order of lanes, until the credit is gone."""
    lanes = sorted(lane for store in trial.town for lane in store.lanes)

    def leases(who: Person) -> list[Plan]:
        given = min(len(lanes), who.limit_minor // allowance_minor)
        return [dict.fromkeys(lanes[:given], allowance_minor)] * len(trial.plans_at)

    return leases


def oracle(trial: Trial) -> Policy:
    """Knows which sales will be tried at which lane while it is cut off, and leases exactly that."""

    def leases(who: Person) -> list[Plan]:
        plans: list[Plan] = [{} for _ in trial.plans_at]
        for seen in who.between(trial.plans_at[0], trial.ends_at):
            outage = outages.at(trial.outages[seen.lane], seen.at_s)
            if outage is not None:
                plan = plans[(outage.from_s - trial.plans_at[0]) // PERIOD_S]
                plan[seen.lane] = plan.get(seen.lane, 0) + seen.amount_minor
        return plans

    return leases
