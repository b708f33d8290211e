"""A code as a drawing for a page: it is the code, module by module, and nothing but shapes."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import zxingcpp

from drivers.errors import DocumentError
from drivers.rendering.svg import qr_svg

TEXT = "00020101021226490017credit.counterfoil0104demo5303156540512.80示例"
DOTS = 4


def drawn(svg: bytes) -> np.ndarray:
    """The picture that the dark path makes on white."""
    root = ET.fromstring(svg)
    size = int(root.attrib["viewBox"].split()[2])
    picture = np.full((size, size), 255, np.uint8)
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1", root[1].attrib["d"]):
        picture[int(y), int(x) : int(x) + int(width)] = 0
    return np.kron(picture, np.ones((DOTS, DOTS), np.uint8))


def test_a_phone_reads_what_is_drawn() -> None:
    (found,) = zxingcpp.read_barcodes(drawn(qr_svg(TEXT)))
    assert found.text == TEXT


def test_it_has_its_quiet_zone_and_neither_style_nor_script() -> None:
    svg = qr_svg(TEXT)
    picture = drawn(svg)
    assert all(edge.min() == 255 for edge in (picture[: 4 * DOTS], picture[-4 * DOTS :], picture[:, : 4 * DOTS]))
    assert not re.search(rb"style|script|href|on\w+=", svg)


def test_too_long_a_text_is_refused() -> None:
    with pytest.raises(DocumentError):
        qr_svg("x" * 5000)
