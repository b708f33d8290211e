"""All papers of a language and a width side by side: as text, as a page, as one picture.

`python -m tests.slips.sheets` draws them anew: look at every one of them, then commit what changed.
"""

import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from PIL import Image

from agent.texts import LANGUAGES, Language
from drivers.document import Banner, Document, to_text
from drivers.rendering.html import to_html
from drivers.rendering.picture import to_png
from tests.slips.story import papers

GOLDEN: Final = Path(__file__).parent / "golden"
COLUMNS: Final = {58: 32, 80: 48}
ACROSS: Final = 8
"""Papers in a row of the picture."""
GAP_DOTS, TABLE, PAPER_FROM = 16, 0, 160


def named(language: Language, mm: int) -> str:
    return f"{language}-{mm}"


def as_one(language: Language) -> Document:
    """Each paper below its name."""
    each = ((Banner(name), *document.blocks) for name, document in papers(language).items())
    return Document(tuple(chain.from_iterable(each)), language)


def text_of(language: Language, mm: int) -> str:
    return to_text(as_one(language), COLUMNS[mm]).rstrip("\n") + "\n"


def page_of(language: Language, mm: int) -> str:
    return to_html(as_one(language), COLUMNS[mm])


def picture_of(language: Language, mm: int) -> Image.Image:
    """The papers as they come out of the printer, in rows, as black and white."""
    drawn = [Image.open(io.BytesIO(to_png(paper, COLUMNS[mm]))) for paper in papers(language).values()]
    rows = [drawn[at : at + ACROSS] for at in range(0, len(drawn), ACROSS)]
    heights = [max(paper.height for paper in row) + GAP_DOTS for row in rows]
    sheet = Image.new("L", (ACROSS * (drawn[0].width + GAP_DOTS), sum(heights)), TABLE)
    for number, row in enumerate(rows):
        for place, paper in enumerate(row):
            sheet.paste(paper, (place * (paper.width + GAP_DOTS), sum(heights[:number])))
    return sheet.point(lambda grey: 255 * (grey >= PAPER_FROM)).convert("1", dither=Image.Dither.NONE)


def sheets() -> Iterator[tuple[Language, int]]:
    return ((language, mm) for language in LANGUAGES for mm in COLUMNS)


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for language, mm in sheets():
        path = GOLDEN / named(language, mm)
        path.with_suffix(".txt").write_text(text_of(language, mm), encoding="utf-8")
        path.with_suffix(".html").write_text(page_of(language, mm), encoding="utf-8")
        picture_of(language, mm).save(path.with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
