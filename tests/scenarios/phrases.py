"""What the words of a scene do: a table for each place where a scene may use them.

The one rule: a phrase matches exactly one row, as a whole; anything else is misread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from agent.core.money import Money
from agent.core.snapshot_layer import Record
from agent.services.hold_desk import Refused
from tests.scenarios.scenario_file import Event, Line, Misread, SaleLine, Scene, duration_s, minor
from tests.scenarios.shop import Customer, Shop, Told
from tests.services.lanes import LENDER, Till, approved, declined
from tests.uplink.world import run

Table: TypeAlias = Mapping[str, Callable[..., object]]
START_S = 1_800_000_000
"""2027-01-15 at 16:00 in Shanghai, when a scene begins."""

REFUSED = r"(?: but is refused: (\w+))?"
AMOUNT, TIME, MOMENT = r"(\d+\.\d\d)", r"(\d+[smhd])", r"(\d{4}-\d\d-\d\d \d\d:\d\d)"


def act(table: Table, words: str, *subjects: Any) -> None:
    """Do what each phrase between commas says. Raises ValueError."""
    for phrase in filter(None, (part.strip() for part in words.split(","))):
        found = [(do, match) for row, do in table.items() if (match := re.fullmatch(row, phrase))]
        if len(found) != 1:
            raise ValueError(f"{phrase!r} is none of these: {'; '.join(table)}")
        do, match = found[0]
        do(*subjects, *match.groups())


def at_line(line: Line, do: Callable[..., Any], *given: Any) -> Any:
    """Whatever cannot be made of a line is told with its place. Raises Misread."""
    try:
        return do(*given)
    except Misread:
        raise
    except (ValueError, KeyError) as error:
        raise Misread(line.where, f"{error}") from error


# -- what a scene sets up ------------------------------------------------------------------------------------------


def _limit(shop: Shop, name: str, value: str) -> None:
    if name not in shop.policy["limits"]:
        raise ValueError(f"{name} is no limit of the policy")
    shop.policy["limits"][name] = _value(name, value)


def _value(name: str, words: str) -> int:
    if name.endswith("_minor") or "_minor_" in name:
        return minor(words)
    return duration_s(words) if name.endswith("_s") else int(words)


def _without(shop: Shop, rule_id: str) -> None:
    left = [rule for rule in shop.policy["rules"] if rule["id"] != rule_id]
    if len(left) == len(shop.policy["rules"]):
        raise ValueError(f"the policy has no rule {rule_id}")
    shop.policy["rules"] = left


POLICY: Table = {
    r"floor limit of (\d{4}) " + AMOUNT: lambda shop, code, m: shop.policy["floor_limits"].update({code: minor(m)}),
    r"([a-z_]+) ([\d.]+[smhd]?)": _limit,
    r"without ([a-z-]+)": _without,
    f"expires in {TIME}": lambda shop, t: shop.policy.update(expires_at=shop.true_s + duration_s(t)),
    "none": lambda shop: shop.policy.clear(),
}
SNAPSHOT: Table = {
    f"{TIME} old": lambda shop, t: setattr(shop.snapshot, "built_at", shop.true_s - duration_s(t)),
    f"built {MOMENT}": lambda shop, t: setattr(shop.snapshot, "built_at", shop.moment_s(t)),
    f"soft {TIME}": lambda shop, t: setattr(shop.snapshot, "soft_age_s", duration_s(t)),
    f"hard {TIME}": lambda shop, t: setattr(shop.snapshot, "hard_age_s", duration_s(t)),
    r"wants policy (\d+)": lambda shop, v: setattr(shop.snapshot, "policy_version", int(v)),
    r"of another epoch": lambda shop: setattr(shop.snapshot, "lease_epoch", 2),
    "none": lambda shop: setattr(shop.snapshot, "built_at", None),
}


def _record(customer: Customer, **changes: Any) -> None:
    customer.record = replace(customer.record or Record(customer.token, 0, 0), **changes)


def _tier(customer: Customer, tier: str) -> None:
    customer.tier = int(tier)
    if customer.record:
        _record(customer, tier=int(tier))


ACCOUNT: Table = {
    f"lease {AMOUNT}": lambda c, m: _record(c, allowance_minor=minor(m), tier=c.tier),
    f"lease {AMOUNT} for {TIME}": lambda c, m, t: (
        _record(c, allowance_minor=minor(m), tier=c.tier),
        setattr(c, "lease_valid_s", duration_s(t)),
    ),
    "not in the snapshot": lambda c: setattr(c, "record", None),
    f"cap {AMOUNT}": lambda c, m: setattr(c, "cap_minor", minor(m)),
    r"tier (\d)": _tier,
    "blocked": lambda c: _record(c, blocked=True),
    "removed": lambda c: _record(c, removed=True),
    "step-up always": lambda c: _record(c, step_up=True),
    "purpose-bound": lambda c: _record(c, purpose_bound=True),
    rf"seen (\d+) km away {TIME} ago": lambda c, km, t: _record(
        c, place=(int(km), 0), last_seen_s=START_S - duration_s(t)
    ),
}


def _account(shop: Shop, words: str) -> None:
    name, _, phrases = words.partition(" ")
    act(ACCOUNT, phrases, shop.customers.setdefault(name, Customer(name)))


SETTING: dict[str, Callable[[Shop, str], None]] = {
    "clock": lambda shop, words: act(CLOCK, words, shop),
    "policy": lambda shop, words: act(POLICY, words, shop),
    "snapshot": lambda shop, words: act(SNAPSHOT, words, shop),
    "account": _account,
    "link": lambda shop, words: setattr(shop, "link", words),
}
CLOCK: Table = {
    r"(\d{4}-\d\d-\d\d \d\d:\d\d \w+/\w+)": lambda shop, words: shop.start_at(words),
    "no signed time yet": lambda shop: setattr(shop, "knows_time", False),
    f"holdover {TIME}": lambda shop, t: shop.settings.update(clock_holdover_max_s=duration_s(t)),
}


def set_up(shop: Shop, scene: Scene) -> None:
    """Put up what a scene says before its first sale. Raises Misread."""
    for line, key, words in scene.setting:
        if key not in SETTING:
            raise line.misread(f"a setting is one of {', '.join(SETTING)}")
        at_line(line, SETTING[key], shop, words)
    for name in dict.fromkeys(step.asked.get("lane") or "1" for step in scene.steps if isinstance(step, SaleLine)):
        at_line(scene.line, shop.lane, name)


# -- a sale --------------------------------------------------------------------------------------------------------

PASS: Table = {
    "no unlock": lambda shown: shown.update(user_verified=False),
    f"made {TIME} ago": lambda shown, t: shown.update(age_s=duration_s(t)),
    f"made {TIME} ahead": lambda shown, t: shown.update(age_s=-duration_s(t)),
    f"expired {TIME} ago": lambda shown, t: shown.update(life_s=-duration_s(t)),
    "same code again": lambda shown: shown.update(again=True),
    r"the text (\S+)": lambda shown, text: shown.update(code=text),
}


def _answers(till: Till, answer: Any) -> None:
    till.backend.available, till.backend.answer = True, answer


async def _approves(request: Mapping[str, Any]) -> dict[str, Any]:
    return approved(request, used_minor=request["lease"]["debit_minor"] if request["lease"] else 0)


LINK: Table = {
    "down": lambda till: setattr(till.backend, "available", False),
    "approves": lambda till: _answers(till, _approves),
    r"declines (\w\w) (\w+)": lambda till, code, reason: _answers(till, declined(code, reason=reason)),
    "silent": lambda till: _answers(till, None),
}


def sell(shop: Shop, sale: SaleLine) -> Told:
    """Ring up one line of a scene. Raises Misread."""
    return at_line(sale.line, _sell, shop, sale.asked)  # type: ignore[no-any-return]


def _sell(shop: Shop, asked: Mapping[str, str]) -> Told:
    if asked.get("time"):
        shop.wait_until(shop.moment_s(asked["time"]))
    till, shown = shop.lane(asked.get("lane") or "1"), dict[str, Any]()
    act(LINK, asked.get("link") or shop.link, till)
    act(PASS, asked.get("pass") or "", shown)
    amount = Money(minor(asked["amount"]), asked.get("currency") or "CNY")
    named = {column: asked.get(column, "") for column in ("sale", "capture", "plan")}
    order = shop.order(amount, asked.get("category") or "5411", **named)
    if asked["account"] not in shop.customers:
        raise ValueError(f"nobody is called {asked['account']} in this scene")
    return shop.sell(till, order, shop.code_of(shop.customers[asked["account"]], shown))


# -- between sales -------------------------------------------------------------------------------------------------


def _every(do: Callable[[Till], object]) -> Callable[..., None]:
    return lambda shop, *_: [do(till) for till in shop.each_lane()] and None


def _wall(shop: Shop, seconds: int) -> None:
    shop.each_lane()
    shop.clock.wall += seconds


def _signed_time(shop: Shop, round_trip: str) -> None:
    for till in shop.each_lane():
        nonce = till.lane.forwarding.ask_time(LENDER)
        signed = shop.lender.signed_time(nonce, shop.true_s)
        shop.wait_until(shop.true_s + duration_s(round_trip))
        till.lane.forwarding.signed_time(LENDER, nonce, signed)


def _changed(table: Table) -> Callable[..., None]:
    def change(shop: Shop, words: str) -> None:
        act(table, words, shop)
        if table is POLICY:
            shop.policy["version"] += 1
        for till in shop.each_lane():
            shop.put_in_force(till)

    return change


def _of_sale(do: Callable[..., Any]) -> Callable[..., None]:
    """What becomes of an approved sale later; with the reason that is given, or without any, it must be refused so."""

    def change(shop: Shop, number: str, *words: str | None) -> None:
        *amounts, reason = words
        if not 1 <= int(number) <= len(shop.sold):
            raise ValueError(f"there is no sale {number} yet")
        till, sale_id = shop.sold[int(number) - 1]
        said = run(do(till, sale_id, *(minor(amount) if amount else None for amount in amounts)))
        refused = said.reason if isinstance(said, Refused) else None
        if refused != reason:
            raise ValueError(f"expected to be refused for {reason or 'nothing'}, but the lane says {refused or 'yes'}")

    return change


def _captured(till: Till, sale_id: str, amount_minor: int | None, *, final: bool = True) -> Any:
    return till.lane.holds.capture(sale_id, amount_minor, final=final, request=f"capture-{till.ledger.head.number}")


def _refunded(till: Till, sale_id: str, amount_minor: int | None) -> Any:
    request = f"refund-{till.ledger.head.number}"
    return till.lane.holds.refund(sale_id, amount_minor, request=request, reason="returned goods")


EVENTS: Table = {
    "restart": _every(lambda till: till.restart()),
    f"restart at {MOMENT}": lambda shop, t: [till.restart(wall_s=shop.moment_s(t)) for till in shop.each_lane()],
    f"wall clock set back {TIME}": lambda shop, t: _wall(shop, -duration_s(t)),
    f"wall clock set ahead {TIME}": lambda shop, t: _wall(shop, duration_s(t)),
    f"asleep for {TIME}": lambda shop, t: shop.wait_until(shop.true_s + duration_s(t)),
    f"signed time after {TIME}": _signed_time,
    rf"sale (\d+) is captured(?: at {AMOUNT})?{REFUSED}": _of_sale(_captured),
    rf"sale (\d+) is captured in part {AMOUNT}{REFUSED}": _of_sale(partial(_captured, final=False)),
    rf"sale (\d+) is refunded(?: {AMOUNT})?{REFUSED}": _of_sale(_refunded),
    rf"sale (\d+) is reversed{REFUSED}": _of_sale(lambda till, sale: till.lane.holds.reverse(sale, "customer_left")),
    rf"sale (\d+) is voided{REFUSED}": _of_sale(lambda till, sale: till.lane.holds.void(sale, "wrong goods")),
    "the day is closed": _every(lambda till: run(till.lane.settlement.close_day(LENDER))),
}
CHANGES: dict[str, Callable[[Shop, str], None]] = {
    "policy": _changed(POLICY),
    "snapshot": _changed(SNAPSHOT),
    "account": lambda shop, words: (_account(shop, words), _changed({})(shop, ""))[1],
}


def happen(shop: Shop, event: Event) -> None:
    """What comes between two sales. Raises Misread."""
    key, _, words = event.text.partition(" ")
    if key in CHANGES:
        at_line(event.line, CHANGES[key], shop, words)
    else:
        at_line(event.line, act, EVENTS, event.text, shop)
