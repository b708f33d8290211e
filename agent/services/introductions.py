"""Lenders that joined after enrollment: who introduced them, and what is kept of it.

The one rule: only the CA that enrollment pinned introduces a lender, and only to lanes of this lane's own merchant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.core import trust
from agent.core.cose import PublicKey
from agent.core.introduction import Introduction, read_introduction
from agent.errors import UntrustedDocument
from agent.ports import Ledger

INTRODUCTION: Final = "introduction"


@dataclass(frozen=True, slots=True)
class Introducer:
    """Who may introduce further lenders: the key of the CA that enrollment pinned, to lanes of this merchant."""

    authority: PublicKey
    merchant: str


class Introductions:
    """``introducer``: None if none may join."""

    def __init__(self, introducer: Introducer | None, ledger: Ledger) -> None:
        self._introducer, self._ledger = introducer, ledger

    def read(self, introduction: bytes) -> Introduction:
        """Who is introduced to this lane. Raises UntrustedDocument."""
        if self._introducer is None:
            raise UntrustedDocument("this lane takes no further lender")
        try:
            said = read_introduction(introduction, self._introducer.authority)
        except trust.TrustError as error:
            raise UntrustedDocument(str(error)) from error
        if said.merchant != self._introducer.merchant:
            raise UntrustedDocument(f"{said.lender} was introduced to lanes of {said.merchant}")
        return said

    def keep(self, said: Introduction, introduction: bytes) -> None:
        self._ledger.store_document(said.lender, INTRODUCTION, 1, introduction)

    def kept(self) -> Iterator[Introduction]:
        """Of every lender that was introduced before this start. Raises UntrustedDocument."""
        for introduction in self._ledger.documents(INTRODUCTION).values():
            yield self.read(introduction)
