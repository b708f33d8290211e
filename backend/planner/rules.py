"""The planner's settings: what credit is worth, and what no plan exceeds.

The one rule: they are the operator's, in units that can be said aloud; ``planner simulate`` shows what each would do.
"""

from __future__ import annotations

from dataclasses import dataclass

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Rules:
    """``price_ppm``: a unit of credit is leased where it is expected to carry so many millionths of itself a day in
    sales; the one figure to turn. Raises ValueError with a sentence."""

    price_ppm: int = 1_500
    history_d: int = 56
    """How far back visits count."""
    visits_min: int = 4
    """Where an account was so often in that time, it may be leased credit."""
    visits_kept: int = 2
    """Where it holds a lease, so many will do."""
    holding_d: int = 42
    """Where it was not seen for so long, the lease is given up."""
    leased_max_percent: int = 80
    """Of the account's free credit, at all lanes together (lease rule 15)."""
    grant_max_minor: int = 100_000
    """At one lane: the default policy lets no account buy more alone in a day."""

    def __post_init__(self) -> None:
        if not 0 < self.price_ppm <= 1_000_000:
            raise ValueError("the price is between 1 and 1,000,000 millionths a day")
        if not 0 < self.holding_d <= self.history_d <= 366:
            raise ValueError("a history has 1 to 366 days, and no lease is held for longer")
        if not 0 < self.visits_kept <= self.visits_min:
            raise ValueError("a lease needs a visit at least, and is not harder to keep than to get")
        if not (0 <= self.leased_max_percent <= 100 and self.grant_max_minor >= 0):
            raise ValueError("a share is between 0 and 100 percent, an amount is not negative")

    @property
    def history_s(self) -> int:
        return self.history_d * DAY_S

    @property
    def holding_s(self) -> int:
        return self.holding_d * DAY_S

    def leasable_minor(self, free_minor: int) -> int:
        """The most of an account's free credit (limit - used - held) that all its leases together may be."""
        return max(0, free_minor) * self.leased_max_percent // 100
