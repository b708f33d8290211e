"""A printer and its paper: what came out, marked as a copy or not, is remembered outside of every process.

The one rule: paper that is out stays out, whatever happens to the one who sent it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from agent.ports import PrintResult
from drivers.document import Document

SALE_ID: Final = re.compile(r"s-[0-9a-f]{10}")
PRINTING_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Paper:
    """One slip on paper, or the beginning of one; ``content`` tells the slips of one sale apart."""

    sale_id: str
    is_copy: bool
    content: str


class PaperPrinter:
    """Implements ``ports.Printer``. ``trouble``: chance of no paper, of a lost status, of a roll that ends half-way."""

    def __init__(self, random: Random, appeared: Callable[[Paper], None], trouble: float) -> None:
        self._random, self._appeared, self.trouble = random, appeared, trouble

    async def print_document(self, job_id: int, document: Document, *, copy: bool) -> PrintResult:
        del job_id
        await asyncio.sleep(self._random.uniform(0, PRINTING_S))
        if self._random.random() < self.trouble:
            return PrintResult("not_started", "cover_open")
        found = SALE_ID.search(repr(document))
        assert found, "every slip names its sale"
        self._appeared(Paper(found.group(), copy, hashlib.sha256(repr(document).encode()).hexdigest()))
        await asyncio.sleep(self._random.uniform(0, PRINTING_S))
        if self._random.random() < self.trouble:
            return PrintResult("doubtful", "no_status")
        return PrintResult("confirmed")
