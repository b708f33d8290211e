"""receiptio, a status client of others: what it says of a printer is what we say, and our stand-in convinces it too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.document import Document, Text
from drivers.registry import open_drawer, open_printer
from drivers.virtual.printer import VirtualPrinter
from tests.drivers.peers import node
from tests.drivers.peers.till import PRINTER_PORT, Till, own_loopback_address

pytestmark = [pytest.mark.proof, node.needed]

# What emupos is told to be; what receiptio says of it; what stands in a job's way by our reading.
SEEN = {
    "paper-near-end": ("online", ""),
    "paper-out": ("paperempty", "paper_out"),
    "cover-open": ("coveropen", "cover_open"),
    "offline": (
        "online",
        "offline",
    ),  # it asks DLE EOT 2 alone, which names causes only
}
HIGH_IS_OPEN = "drawer2"
"""receiptio's name for this polarity of the sensor, which is that of emupos and of our profile."""
Fault = Callable[[VirtualPrinter], None]
# What our stand-in is told to be, and what receiptio says of it.
PLAYED: dict[str, tuple[Fault, str]] = {
    "nothing wrong": (lambda p: None, "online"),
    "paper near its end": (VirtualPrinter.paper_near_end, "online"),
    "paper out": (VirtualPrinter.paper_out, "paperempty"),
    "cover open": (VirtualPrinter.cover_open, "coveropen"),
    "cutter stuck": (VirtualPrinter.cutter_error, "error"),
    "off line": (VirtualPrinter.off_line, "online"),
    "unplugged": (VirtualPrinter.unplug, "disconnect"),
}


def test_two_clients_that_share_no_line_of_code_see_the_same_printer(till: Till) -> None:
    printer = open_printer("front", till.printers["tcp"], {"profile": "epson-tm-t20ii"})
    assert node.receiptio_says(till.host) == "online"
    for fault, (theirs, ours) in SEEN.items():
        till.set_fault("tcp", fault)
        assert (node.receiptio_says(till.host), printer.read_status().obstacle) == (theirs, ours), fault
        till.clear_fault("tcp", fault)
    printer.close()


def test_two_clients_see_the_same_drawer_and_leave_each_other_the_line(till: Till) -> None:
    printer = open_printer("front", till.printers["tcp"], {"profile": "epson-tm-t20ii"})
    drawer = open_drawer("till", printer)
    assert (node.receiptio_says(till.host, HIGH_IS_OPEN), drawer.drawer_opened()) == ("drawerclosed", False)
    assert drawer.open_drawer().opened
    assert (node.receiptio_says(till.host, HIGH_IS_OPEN), drawer.drawer_opened()) == ("draweropen", True)
    assert printer.print_document("job-1", Document((Text("after them"),)), copy=False).rung == "confirmed"
    for device in (drawer, printer):
        device.close()


@pytest.mark.parametrize("case", PLAYED)
def test_our_stand_in_answers_as_receiptio_expects_of_a_printer(case: str, tmp_path: Path) -> None:
    fault, says = PLAYED[case]
    paper = VirtualPrinter(tmp_path, own_loopback_address(), PRINTER_PORT)
    fault(paper)
    said = node.receiptio_says(paper.address.split(":")[1])
    paper.close()
    assert said == says
