"""What an article code says: number, batch, serial, dates, weight, price. Rule: the symbology decides how it is read.

A bare EAN-13 could be read as a GS1 message too, and would then say nonsense; so a message is looked for only where the
AIM id or a GS1 Digital Link says that there is one. Check digits are verified; what fails says nothing at all.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from drivers.device import Article

_MESSAGE: Final = ("]C1", "]e0", "]e1", "]e2", "]d2", "]Q3", "]J1")
"""AIM ids of GS1 symbologies (GS1 General Specifications, table of symbology identifiers)."""
_RETAIL: Final = ("]E0", "]E3", "]E4")
_GTIN_DIGITS: Final = (8, 12, 13, 14)
_LINK: Final = (b"http://", b"https://")
_BYTES_MAX: Final = 512
_DATES: Final = {"11": "produced_on", "13": "packed_on", "15": "best_before", "16": "sell_by", "17": "expires_on"}
_GRAMS: Final = "310"
"""Application identifiers 3100 to 3105: net weight in kilograms with that many decimals."""


def article_in(raw: bytes, symbology: str | None) -> Article | None:
    """The article that a code names, None for a code of another kind."""
    if len(raw) > _BYTES_MAX or not raw.isascii():
        return None
    text = raw.decode("ascii")
    if symbology in _MESSAGE or raw.startswith(b"\x1d"):
        return _message(text.removeprefix("\x1d"))
    if symbology in _RETAIL or (symbology in (None, "]C0", "]I1", "]X0") and len(text) in _GTIN_DIGITS):
        return _number(text, symbology)
    return _link(text) if raw.startswith(_LINK) else None


def _number(text: str, symbology: str | None) -> Article | None:
    from biip import ParseError  # takes 0.2 s: commands that read no article need not wait
    from biip.gtin import Gtin
    from biip.upc import Upc

    digits = text[:13] if len(text) in (15, 18) else text  # 2 or 5 digits of an add-on follow
    as_printed, as_upc = Gtin.parse, lambda short: Gtin.parse(Upc.parse(short).as_upc_a())
    # Eight digits that begin with 0 are a UPC-E: shops use such numbers of EAN-8 among themselves only.
    is_upc_e = len(digits) == 8 and digits.startswith("0") and symbology != "]E4"
    for parse in (as_upc, as_printed) if is_upc_e else (as_printed, as_upc):
        with suppress(ParseError):
            return Article(gtin=parse(digits).as_gtin_14())
    return None


def _message(text: str) -> Article | None:
    from biip import ParseError
    from biip.gs1_messages import GS1Message

    try:
        return _fields(GS1Message.parse(text).element_strings)
    except ParseError:
        return None


def _link(text: str) -> Article | None:
    from biip import ParseError
    from biip.gs1_digital_link_uris import GS1DigitalLinkURI

    try:
        return _fields(GS1DigitalLinkURI.parse(text).element_strings)
    except ParseError:
        return None


def _fields(elements: Any) -> Article | None:
    found: dict[str, Any] = {}
    for element in elements:
        ai = element.ai.ai
        if ai in ("01", "02") and element.gtin:
            found["gtin"] = element.gtin.as_gtin_14()
        elif ai in _DATES and element.date:
            found[_DATES[ai]] = element.date.isoformat()
        elif ai.startswith(_GRAMS) and element.decimal is not None:
            found["net_weight_g"] = round(element.decimal * 1000)
        elif ai in ("30", "37"):
            found["count"] = int(element.value)
        elif ai.startswith("392") and element.decimal is not None:
            found["price"] = str(element.decimal)
        elif ai in ("10", "21"):
            found["batch" if ai == "10" else "serial"] = element.value
    return Article(**found) if found else None
