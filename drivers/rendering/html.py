"""A slip as a page. Rule: one file that loads nothing and runs nothing, whose text is the layout's, line by line.

Its own policy forbids scripts and loads even if something in the text looked like one; the code is drawn as SVG.
"""

from __future__ import annotations

import re
from html import escape
from itertools import groupby
from typing import Final

from drivers.document import CODE_NAMES, Document
from drivers.rendering.codes import modules_of
from drivers.rendering.rows import CodeRow, Row, Run, TextRow, rows_of

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_BAR_WIDTH_TO_HEIGHT: Final = 5
_TITLES: Final = {"zh": "小票"}
# A wide character is a box of two columns, drawn a little larger, as its strokes need. In print a column is 1.5 mm:
# 48 of them are the 72 mm that 80 mm paper prints.
_STYLE: Final = """
@page{margin:4mm}
body{margin:0;background:#e9e9e6;color:#111}
main{box-sizing:content-box;margin:2rem auto;padding:2.5em 2em;background:#fff;box-shadow:0 1px 8px #0003;
font:16px/1.5 "DejaVu Sans Mono","Noto Sans Mono CJK SC","WenQuanYi Micro Hei Mono",monospace}
div{white-space:pre;min-height:1.5em}
b{font-weight:700}
i{display:inline-block;font-size:115%;line-height:1;width:calc(2ch/1.15);text-align:center;font-style:normal}
big{font-size:200%;line-height:1.3}
hr{border:0;border-top:1px dashed #999;margin:1em -2em}
p{margin:0;text-align:center}
svg{display:block;margin:0 auto;width:18ch;height:18ch;shape-rendering:crispEdges}
svg.barcode{width:28ch;height:5.6ch}
@media print{body{background:#fff}main{margin:0;padding:0;box-shadow:none;font-size:2.49mm}}
"""


def to_html(document: Document, columns: int) -> str:
    """A complete page of that many columns. Raises DocumentError."""
    language = "".join(re.findall("[A-Za-z0-9-]", document.language or ""))
    body = "\n".join(_row(row) for row in rows_of(document, columns))
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{_TITLES.get(language[:2], "Slip")}</title>'
        f'<style>{_STYLE}</style></head>\n<body><main style="width:{columns}ch">\n{body}\n</main></body>\n</html>\n'
    )


def _row(row: Row) -> str:
    match row:
        case TextRow(runs):
            return f"<div>{''.join(map(_run, runs))}</div>"
        case CodeRow():
            return _code(row)
    return "<hr>"


def _run(run: Run) -> str:
    text = "".join(escape(char) if char < "\x80" else f"<i>{char}</i>" for char in run.text)
    if run.double:
        text = f"<big>{text}</big>"
    return f"<b>{text}</b>" if run.bold else text


def _code(row: CodeRow) -> str:
    """The code with its quiet zone; what it holds is its title, for readers aloud, and stands below a line code."""
    modules = modules_of(row)
    width = len(modules[0])
    rows = modules if row.symbology == "qr" else modules * (width // _BAR_WIDTH_TO_HEIGHT)
    path = "".join(f"M0 {y}.5{_strokes(line)}" for y, line in enumerate(rows))
    drawn = (
        f'<svg viewBox="0 0 {width} {len(rows)}" class="{row.symbology}" role="img">'
        f'<title>[{CODE_NAMES[row.symbology]}: {escape(row.data)}]</title><path stroke="#000" d="{path}"/></svg>'
    )
    return drawn if row.symbology == "qr" else f"{drawn}<p>{escape(row.data)}</p>"


def _strokes(line: tuple[bool, ...]) -> str:
    """Runs of equal modules as moves and lines of SVG."""
    return "".join(f"{'h' if dark else 'm'}{len(list(run))}{'' if dark else ' 0'}" for dark, run in groupby(line))
