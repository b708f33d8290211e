"""Printer models as data. Rule: what differs between models is a column of this table, never an `if` on a name.

python-escpos brings a database of models (code pages, cutters), but nothing on ideographs, on answering, or on the
drawer's polarity; these columns add it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers.errors import OptionError

COLUMNS = (32, 42, 48)
"""Lines of 58 mm paper, of 80 mm paper with 42-column models, of 80 mm paper."""

Confirmation = Literal["process_id", "barrier", "none"]


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of printer.

    `columns`: ASCII characters a line in font A, 12 dots each. `kanji`: has an ideograph font addressed by GB18030.
    `answers_status`: answers DLE EOT. `confirmation`: the best proof of printing it gives: the echo of our process id
    (GS ( H), an answer that comes only after the job (GS r 1), or none. `drawer_open_level`: level of the drawer pin
    when the drawer is open, None when nobody knows. `escpos`: its name in the database of python-escpos.
    """

    name: str
    columns: int
    kanji: bool = True
    answers_status: bool = True
    confirmation: Confirmation = "barrier"
    drawer_open_level: Literal["high", "low"] | None = None
    escpos: str = "default"

    @property
    def dots(self) -> int:
        """Printable dots across the paper."""
        return self.columns * 12


_TABLE = (
    Profile("generic-80", 48),
    Profile("generic-80-42col", 42),
    Profile("generic-58", 32),
    Profile("generic-80-mute", 48, answers_status=False, confirmation="none"),
    Profile("generic-58-mute", 32, answers_status=False, confirmation="none"),
    # Clones that answer DLE EOT in real time but swallow GS r.
    Profile("clone-80", 48, confirmation="none"),
    Profile("clone-58", 32, confirmation="none"),
    # Epson lists GS ( H fn 48 for these (ESC/POS command reference, gs_lparen_ch_fn48).
    Profile("epson-tm-t88v-zh", 48, confirmation="process_id", drawer_open_level="high", escpos="TM-T88V"),
    Profile("epson-tm-t20ii-zh", 48, confirmation="process_id", drawer_open_level="high", escpos="TM-T20II"),
    Profile("epson-tm-m30-zh", 48, confirmation="process_id", drawer_open_level="high"),
    # Sold in Europe and America: no ideographs at all.
    Profile("epson-tm-t20ii", 48, kanji=False, confirmation="process_id", drawer_open_level="high", escpos="TM-T20II"),
)

PROFILES: dict[str, Profile] = {profile.name: profile for profile in _TABLE}


def profile_named(name: str) -> Profile:
    """The profile of that name. Raises OptionError that lists the names there are."""
    if name not in PROFILES:
        raise OptionError(f"no printer profile {name!r}; there are {', '.join(PROFILES)}")
    return PROFILES[name]
