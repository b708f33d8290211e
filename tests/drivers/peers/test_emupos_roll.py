"""The roll of a printer that others made ends while a slip is on its way: nothing is lost, nothing said too much."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from drivers.document import Document, Pair, Text, to_text
from drivers.registry import open_printer
from tests.drivers.peers.till import PRINTER_PORT, Till

pytestmark = pytest.mark.proof

SLIP = Document((Text("Example Market", "center"), *(Pair(f"Item {n}", f"{n}.00") for n in range(30))))
ROWS = [row.strip() for row in to_text(SLIP, 48).splitlines() if row.strip()]
PATIENCE = {"answer_s": 20.0, "confirm_s": 20.0, "write_s": 20.0}


class Relay:
    """A network between us and the printer; when `after_bytes` have passed to it, something happens, once."""

    def __init__(self, host: str, after_bytes: int, happens: Callable[[], None]) -> None:
        self._to, self._left, self._happens = (host, PRINTER_PORT), after_bytes, happens
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp:127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listening.accept()
                with ours, socket.create_connection(self._to) as theirs:
                    self._pass_on(ours, theirs)

    def _pass_on(self, ours: socket.socket, theirs: socket.socket) -> None:
        while True:
            for ready in select.select([ours, theirs], [], [])[0]:
                data = ready.recv(4096)
                if not data:
                    return
                if ready is theirs:
                    ours.sendall(data)
                else:
                    self._to_the_printer(theirs, data)

    def _to_the_printer(self, theirs: socket.socket, data: bytes) -> None:
        before, behind = data[: self._left], data[self._left :]
        theirs.sendall(before)
        if behind and self._left:
            self._happens()
        self._left -= len(before)
        theirs.sendall(behind)


@pytest.fixture
def relay(till: Till) -> Iterator[Relay]:
    passing = Relay(till.host, 400, lambda: till.set_fault("tcp", "paper-out"))
    yield passing
    passing.close()


def test_paper_that_ends_in_mid_slip_is_a_doubt_and_leaves_two_slips_of_which_the_second_says_copy(
    till: Till, relay: Relay
) -> None:
    printer = open_printer("front", relay.address, {"profile": "epson-tm-t20ii", **PATIENCE})
    outcome = printer.print_document("job-1", SLIP, copy=False)
    assert (outcome.rung, outcome.reason) == ("doubtful", "paper_out")
    assert printer.print_document("job-1", SLIP, copy=True).rung == "not_started", "the roll is still empty"
    till.clear_fault("tcp", "paper-out")
    assert printer.print_document("job-1", SLIP, copy=True).rung == "confirmed"
    printer.close()
    first, second = ([row.strip() for row in text.splitlines() if row.strip()] for text, _ in till.slips("tcp", 2))
    assert first == ROWS, "the printer finished what it had kept"
    assert [row for row in second if row in ROWS] == ROWS
    assert second[:1] == second[-1:] == ["*" * 48], "between the rows of the banner, its words are drawn"
