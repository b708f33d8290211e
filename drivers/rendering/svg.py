"""A QR code as a drawing for a page. Rule: the same modules as on paper, in one path, without a style or a script.

Scalable Vector Graphics 2 (W3C), section 9.3: each run of dark modules is a rectangle of height 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from drivers.rendering.codes import modules_of
from drivers.rendering.rows import CodeRow


def qr_svg(text: str) -> bytes:
    """The code with its quiet zone, black on white, one unit a module. Raises DocumentError for too long a text."""
    modules = modules_of(CodeRow(text))
    size = len(modules)
    path = "".join(_runs(modules))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{size}v{size}h-{size}z"/><path d="{path}"/></svg>'
    ).encode()


def _runs(modules: tuple[tuple[bool, ...], ...]) -> Iterator[str]:
    for y, row in enumerate(modules):
        x = 0
        for is_dark, run in groupby(row):
            width = len(tuple(run))
            if is_dark:
                yield f"M{x} {y}h{width}v1h-{width}z"
            x += width
