"""Rows keep every character of the layout in its column, and a narrow paper wraps as a printer does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.document import Cut, Document, Feed, Qr, Text, layout
from drivers.rendering.rows import CodeRow, CutRow, Run, TextRow, rows_of, wrapped
from tests.drivers.rendering.slips import EN, ZH


@pytest.mark.parametrize("document", [ZH, EN], ids=["zh", "en"])
@pytest.mark.parametrize("columns", [32, 42, 48])
def test_every_line_of_the_layout_is_a_row_at_its_indent(document: Document, columns: int) -> None:
    lines = [line for line in layout(document, columns) if line.kind == "text"]
    rows = [row for row in rows_of(document, columns) if isinstance(row, TextRow)]
    texts = ["".join(run.text for run in row.runs) for row in rows]
    assert texts == [" " * line.indent + line.text for line in lines][: len(texts)]
    assert not any(line.text for line in lines[len(texts) :]), "only the feed at the end is left out"
    assert all(sum(run.columns for run in row.runs) <= columns for row in rows)
    assert [row.runs[-1].double for row in rows if row.runs] == [line.double for line in lines if line.text]


def test_a_cut_in_the_middle_shows_and_the_one_at_the_end_does_not() -> None:
    document = Document((Text("a"), Cut(), Qr("b"), Feed(3), Cut()))
    assert rows_of(document, 32) == (TextRow((Run("a"),)), CutRow(), CodeRow("b"))


def test_a_wide_character_that_does_not_fit_goes_to_the_next_row_whole() -> None:
    row = TextRow((Run("ab"), Run("合计", bold=True), Run("大", double=True)))
    assert wrapped([row, CutRow()], 5) == (
        TextRow((Run("ab"), Run("合", bold=True))),
        TextRow((Run("计", bold=True),)),
        TextRow((Run("大", double=True),)),
        CutRow(),
    )


@given(
    st.lists(st.builds(Run, st.text("a合é", min_size=1), st.booleans(), st.booleans()), max_size=5), st.integers(4, 20)
)
def test_wrapping_loses_nothing_and_keeps_to_the_paper(runs: list[Run], columns: int) -> None:
    rows = wrapped([TextRow(tuple(runs))], columns)
    assert all(sum(run.columns for run in row.runs) <= columns for row in rows if isinstance(row, TextRow))
    styled = [(char, run.bold, run.double) for run in runs for char in run.text]
    kept = [(c, run.bold, run.double) for row in rows if isinstance(row, TextRow) for run in row.runs for c in run.text]
    assert kept == styled
