"""The chart of a trial, as SVG: offline turnover covered over credit tied up.

The one rule: what is drawn is what the table says; nothing is smoothed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

WIDTH: Final = 720
HEIGHT: Final = 440
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 40, 56
TIED_MAX: Final = 500
"""Thousandths at the right end; more credit tied up than that is not drawn."""

Point = tuple[int, int]
"""Tied up and covered, in thousandths."""

_FONT: Final = 'font-family="sans-serif" font-size="13"'


class Line(NamedTuple):
    """A curve (or with one point a mark), its colour, and what it is."""

    name: str
    colour: str
    points: Sequence[Point]


def svg(title: str, lines: Sequence[Line], *, goal: Point) -> str:
    """``goal``: tied up at most, covered at least; its corner is shaded."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {_FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="24" font-size="16" font-weight="600">{title}</text>',
        *_goal(goal),
        *_axes(),
        *(part for at, line in enumerate(lines) for part in _line(line, at)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _goal(goal: Point) -> Iterator[str]:
    x, y = _x(goal[0]), _y(goal[1])
    yield f'<rect x="{LEFT}" y="{TOP}" width="{x - LEFT}" height="{y - TOP}" fill="#2e7d32" opacity="0.14"/>'
    yield f'<text x="{LEFT + 6}" y="{y - 6}" fill="#2e7d32">goal</text>'


def _axes() -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for share in range(0, 1001, 200):
        yield f'<line x1="{LEFT}" y1="{_y(share)}" x2="{right}" y2="{_y(share)}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 8}" y="{_y(share) + 4}" text-anchor="end" fill="#555">{share // 10} %</text>'
    for share in range(0, TIED_MAX + 1, 100):
        yield f'<text x="{_x(share)}" y="{bottom + 20}" text-anchor="middle" fill="#555">{share // 10} %</text>'
    yield f'<line x1="{LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="#555"/>'
    yield f'<text x="{right}" y="{bottom + 42}" text-anchor="end">credit tied up, of all credit</text>'
    yield f'<text x="{LEFT}" y="{bottom + 42}">upwards: offline turnover covered by leases</text>'


def _line(line: Line, at: int) -> Iterator[str]:
    drawn = [(_x(tied), _y(covered)) for tied, covered in line.points if tied <= TIED_MAX]
    path = " ".join(f"{x},{y}" for x, y in drawn)
    if len(drawn) > 1:
        yield f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="2"/>'
    yield from _marks(drawn, line.colour, 3 if len(drawn) > 1 else 6)
    y = HEIGHT - BOTTOM - 18 * at - 14
    yield from _marks([(WIDTH - 330, y - 4)], line.colour, 5)
    yield f'<text x="{WIDTH - 318}" y="{y}">{line.name}</text>'


def _marks(points: Iterable[Point], colour: str, radius: int) -> Iterator[str]:
    for x, y in points:
        yield f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour}"/>'


def _x(tied: int) -> int:
    return LEFT + tied * (WIDTH - LEFT - RIGHT) // TIED_MAX


def _y(covered: int) -> int:
    return HEIGHT - BOTTOM - covered * (HEIGHT - TOP - BOTTOM) // 1000
