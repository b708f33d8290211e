"""An explained sale as lines of text, in the language of whoever reads them.

The one rule: a figure is shown with its name and in its own unit, as the rule saw it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from agent.core.money import format_minor
from agent.texts import Language, explaining, text

UNITS_S: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
MOMENTS: Final = re.compile(r".*_at(_s)?")


def lines(told: Mapping[str, Any], language: Language, zone: str) -> Iterator[str]:
    """The whole sale; ``told`` is a story as of ``services.explaining``, ``zone`` the store's."""
    say = partial(explaining, language)
    yield say("sale", sale_id=told["sale_id"], lane=told["lane"])
    for attempt in told["attempts"]:
        yield ""
        yield from _Attempt(attempt, language, ZoneInfo(zone)).lines()


class _Attempt:
    """One attempt of the sale, in words."""

    def __init__(self, attempt: Mapping[str, Any], language: Language, zone: ZoneInfo) -> None:
        self._attempt, self._language, self._zone = attempt, language, zone
        self._decision: Mapping[str, Any] = attempt["decision"] or {}
        self._say = partial(explaining, language)

    def lines(self) -> Iterator[str]:
        yield self._say("attempt", attempt=self._attempt["attempt"], outcome=self._outcome())
        for entry in self._attempt["entries"]:
            yield f"  {self._recorded(entry)}"
        if self._decision:
            yield from self._decided()

    def _outcome(self) -> str:
        decision = self._decision
        if not decision:
            return self._say("open")
        amount = format_minor(decision["amount_minor"], decision["currency"])
        outcome = self._say(
            "approved" if decision["approved"] else "declined", code=decision["response_code"], amount=amount
        )
        return f"{outcome}. {self._sentence(decision['reason'])}"

    def _recorded(self, entry: Mapping[str, Any]) -> str:
        at = datetime.fromtimestamp(entry["recorded_at"], UTC)
        line = self._say(
            "recorded",
            position=f"{entry['epoch']}-{entry['number']}",
            local=f"{at.astimezone(self._zone):%Y-%m-%d %H:%M:%S%z}",
            utc=f"{at:%Y-%m-%dT%H:%M:%SZ}",
            kind=self._say(f"kind_{entry['kind']}"),
            amount=format_minor(entry["amount_minor"], entry["currency"]) if entry["currency"] else "",
        ).rstrip()
        offset_s = entry["clock_offset_s"]
        return line + (self._say("clock_offset", offset=offset_s) if offset_s else "")

    def _decided(self) -> Iterator[str]:
        decision = self._decision
        yield "  " + self._by()
        if decision["online_unknown"]:
            yield "  " + self._say("online_unknown")
        if decision["approved"]:
            funding = decision["funding"] or "backend"
            yield "  " + self._say("paid_by", funding=self._say(f"funding_{funding}"))
        yield from self._rules()
        yield from self._replayed()

    def _by(self) -> str:
        decision, lender = self._decision, self._attempt["lender"]
        policy = decision["policy_version"] or self._say("none")
        if decision["by"] == "backend":
            return self._say("by_backend", lender=lender, policy=policy)
        return self._say(
            "by_lane",
            lender=lender,
            policy=policy,
            snapshot=decision["snapshot_sequence"] or self._say("none"),
            clock=self._say(f"clock_{decision['clock_source']}"),
        )

    # -- what was asked --------------------------------------------------------------------------------------------

    def _rules(self) -> Iterator[str]:
        checks, rules = self._decision["checks"], self._decision["rules"]
        if checks:
            deciding = [check for check in checks if check["answered"]]
            if deciding:
                yield "  " + self._say("decided_by")
                yield from self._check(deciding[0])
            yield "  " + self._say("checks")
            for check in checks:
                if check not in deciding:
                    yield from self._check(check)
        elif self._decision["by"] == "backend" and rules:
            yield "  " + self._say("backend_rules")
            for rule_id, _, outcome in rules:
                yield f"    {self._say(f'said_{outcome}'):<5} {rule_id}"

    def _check(self, check: Mapping[str, Any]) -> Iterator[str]:
        said, effect = check["said"], self._say(f"effect_{check['effect']}", code=check["response_code"]).strip()
        sentence = self._say(f"because_{said}", sentence=self._sentence(check["reason"]))
        yield f"    {self._say(f'said_{said}'):<5} {check['id']:<20} {sentence} ({effect})"
        yield "          " + self._say(f"holds_{said}", condition=self._with_values(check["when"], check["values"]))

    def _with_values(self, when: str, values: Mapping[str, Any]) -> str:
        """The condition, each name with its value behind it; then the values that it rests on without naming them."""
        named = {name: f"{name} ({self._value(name, value)})" for name, value in values.items()}
        unnamed = [shown for name, shown in named.items() if not re.search(rf"\b{name}\b", when)]
        condition = re.sub(r"\b[a-z_]+\b", lambda word: named.get(word[0], word[0]), when)
        return "; ".join([condition, *unnamed])

    def _value(self, name: str, value: object) -> str:
        if value is None or isinstance(value, bool):
            return self._say({None: "none", True: "yes", False: "no"}[value])
        if not isinstance(value, int):
            return str(value)
        if "_minor" in name:
            return format_minor(value, self._decision["currency"])
        if MOMENTS.fullmatch(name):
            return f"{datetime.fromtimestamp(value, self._zone):%Y-%m-%d %H:%M:%S%z}"
        return duration(value) if name.endswith("_s") else str(value)

    # -- and whether it still follows ------------------------------------------------------------------------------

    def _replayed(self) -> Iterator[str]:
        decision = self._decision
        sentence = self._sentence(decision["reason"])
        yield "  " + self._say(f"replay_{decision['replay']}", why=decision["why"], sentence=sentence)
        for name, both in decision["differs"].items():
            yield "    " + self._say("differs", field=name, stored=both["stored"], follows=both["follows"])

    def _sentence(self, reason: str) -> str:
        return text(self._language, reason, "cashier").rstrip(".。")


def duration(seconds: int) -> str:
    """``1 d 2 h``: whole seconds in the units that fit, the largest first."""
    left, parts = abs(seconds), []
    for unit, size_s in UNITS_S:
        count, left = divmod(left, size_s)
        parts += [f"{count} {unit}"] if count else []
    return ("-" if seconds < 0 else "") + (" ".join(parts) or "0 s")
