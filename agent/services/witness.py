"""The lane's own look at its journal from outside: is this ledger the one that was here last (lease rule 11)?

The one rule: as long as there is doubt, the witness is not touched; a restart does not make a copy the true one.
"""

from __future__ import annotations

import logging
from typing import Final

from agent.core.journal import digest
from agent.core.witness import Doubt, Witnessed, doubt
from agent.ports import WITNESSED, Ledger, Witness

LOG: Final = logging.getLogger(__name__)

BEGUN: Final = "begun"
"""Noted before a journal's first entry, until the backend has confirmed it or its witness is written."""
YES: Final = "yes"
"""Noted from then on: this ledger has a witness. One without a note has never had any."""


class HeadWitness:
    """Compares at the start, looks again in quiet moments. Without a ``witness`` there is never a doubt."""

    def __init__(self, ledger: Ledger, witness: Witness | None) -> None:
        self._ledger, self._witness = ledger, witness
        self._seen: Witnessed | None = None
        self.doubt = self._compared()
        if self.doubt is Doubt.FIRST_START:
            LOG.info("a first start: nothing is approved offline until the backend has confirmed this journal once")
        elif self.doubt is not None:
            LOG.error("this ledger may be an old copy: %s", self.doubt, extra={"reason": self.doubt})
        self.look()

    def _compared(self) -> Doubt | None:
        if self._witness is None:
            return None
        said = self._witness.read()
        there = self._ledger.entry_bytes_after(said.epoch, said.number - 1, 1) if said else []
        noted = self._ledger.note(WITNESSED)
        return doubt(
            self._ledger.head,
            said,
            is_new=noted == BEGUN,
            is_expected=noted == YES,
            machine=self._witness.machine,
            there=digest(there[0]) if there else None,
        )

    def look(self) -> None:
        """Remember where the journal ends now."""
        head = self._ledger.head
        if self._witness is None or self.doubt is not None or head.epoch == 0:
            return
        now = Witnessed(self._witness.machine, head.lane, head.epoch, head.number, head.hash)
        if now == self._seen or not self._witness.write(now):
            return
        if self._seen is None and self._ledger.note(WITNESSED) != YES:
            self._ledger.take_note(WITNESSED, YES)
        self._seen = now

    def confirmed(self) -> None:
        """The backend has shown that it has no other entries."""
        self.doubt = None
        if (
            self._ledger.note(WITNESSED) == BEGUN
        ):  # where no witness can be written, a cold start must sell all the same
            self._ledger.take_note(WITNESSED, None)
        self.look()
