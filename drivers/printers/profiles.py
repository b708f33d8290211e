"""Printer models as data. Rule: what differs between models is a field of a profile, never an `if` on a name.

The database of python-escpos knows code pages, cutters, codes and paper; `overlay.toml` adds what it does not:
ideographs, answering, the drawer's polarity, the beeper. The names are the overlay's; the database is read for the
model in use only.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, cast

from drivers.errors import OptionError

COLUMNS: Final = (32, 36, 42, 44, 48)
"""Lines of 58 mm paper, of portable models, of 80 mm paper with 42- and 44-column models, of 80 mm paper."""

Confirmation = Literal["process_id", "barrier", "none"]
Characters = Literal["gb18030", "big5", "shift_jis", "cp949", "none"]
Pictures = Literal["raster", "needles"]
BeepCommand = Literal["esc_paren_a", "esc_b", "bel", "none"]
CHARACTERS: Final = ("gb18030", "big5", "shift_jis", "cp949", "none")
_PAGES: Final = {"CP437": "cp437", "CP858": "cp858", "CP1252": "cp1252", "CP850": "cp850"}
"""Code pages that have currency signs → Python's codec; the one that every printer starts with comes first."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of printer.

    `columns`: ASCII characters a line in font A, 12 dots each. `characters`: how its ideographs are addressed, "none":
    it has none. `pages`: codec → n of ESC t, of pages with currency signs. `answers_status`: answers DLE EOT.
    `confirmation`: the best proof of printing it gives: the echo of our process id (GS ( H), an answer that comes only
    after the job (GS r 1), or none. `drawer_open_level`: level of the drawer pin when the drawer is open, None when
    nobody knows. `draws_qr`, `draws_barcodes`: makes codes itself. `pictures`: takes dots (GS v 0), or strikes
    `needle_dots` across the paper (ESC * 1). `beeper`: what makes it sound. `escpos`: its name in the database of
    python-escpos, which knows its cutter. `played_by`: whose program plays it in the tests, "": it is listed only.
    """

    name: str
    columns: int
    characters: Characters = "none"
    pages: tuple[tuple[str, int], ...] = (("cp437", 0),)
    answers_status: bool = True
    confirmation: Confirmation = "barrier"
    drawer_open_level: Literal["high", "low"] | None = None
    draws_qr: bool = True
    draws_barcodes: bool = True
    pictures: Pictures = "raster"
    needle_dots: int = 0
    beeper: BeepCommand = "none"
    escpos: str = "default"
    played_by: str = ""

    @property
    def kanji(self) -> bool:
        """Whether it has ideographs of its own."""
        return self.characters != "none"

    @property
    def dots(self) -> int:
        """Printable dots across the paper."""
        return self.columns * 12


class _Models(Mapping[str, Profile]):
    """Name → profile; a profile is made when it is asked for."""

    def __getitem__(self, name: str) -> Profile:
        return _profile(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_overlay())

    def __len__(self) -> int:
        return len(_overlay())

    def __contains__(self, name: object) -> bool:
        return name in _overlay()


PROFILES: Final[Mapping[str, Profile]] = _Models()


def profile_named(name: str) -> Profile:
    """The profile of that name. Raises OptionError, with the nearest name there is."""
    if name not in PROFILES:
        near = difflib.get_close_matches(name, list(PROFILES), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ";"
        raise OptionError(f"no printer profile {name!r}{hint} there are {', '.join(PROFILES)}")
    return PROFILES[name]


@cache
def _overlay() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("drivers.printers").joinpath("overlay.toml").read_text("utf-8"))


@cache
def _database() -> dict[str, dict[str, Any]]:
    """Read as data: importing python-escpos for it would cost every start 0.2 s."""
    text = files("escpos").joinpath("capabilities.json").read_text("utf-8")
    return cast("dict[str, dict[str, Any]]", json.loads(text)["profiles"])


@cache
def _profile(name: str) -> Profile:
    ours = dict(_overlay()[name])
    model = str(ours.pop("database", name if name in _database() else "default"))
    theirs = _database()[model]
    can = theirs["features"]
    known = {"columns": theirs["fonts"]["0"]["columns"], "draws_qr": can["qrCode"], "draws_barcodes": can["barcodeB"]}
    if not can["bitImageRaster"]:
        known |= {"pictures": "needles", "needle_dots": theirs["media"]["width"]["pixels"]}
    return Profile(name, escpos=model, pages=_pages(theirs), **(known | ours))


def _pages(model: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    numbers = {page: int(n) for n, page in reversed(model["codePages"].items())}
    return tuple((codec, numbers[page]) for page, codec in _PAGES.items() if page in numbers)
