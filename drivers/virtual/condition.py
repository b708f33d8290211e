"""What is wrong with a virtual printer, and how it says so. Rule: these are the bytes that real ones send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

StopCause = Literal["paper_out", "cover", "cutter"]


@dataclass(slots=True)
class PrinterCondition:
    """Faults, all absent at first; `*_after` are bytes of print data until one begins, `stop_cause` which."""

    cover: bool = False
    paper_out: bool = False
    near_end: bool = False
    off_line: bool = False
    cutter: bool = False
    unplugged: bool = False
    mute: bool = False
    drawer_open: bool = False
    drawer_stuck: bool = False
    vanish_after: int | None = None
    stop_after: int | None = None
    stop_cause: StopCause = "paper_out"

    def fed(self, size_bytes: int) -> None:
        """So much has been printed: the fault that waits for it comes nearer, or begins."""
        if self.stop_after is None:
            return
        self.stop_after -= size_bytes
        if self.stop_after <= 0:
            self.stop_after = None
            setattr(self, self.stop_cause, True)

    @property
    def blocked(self) -> bool:
        """Whether it prints nothing."""
        return self.cover or self.paper_out or self.off_line or self.cutter

    @property
    def paper_status(self) -> bytes:
        """The answer to GS r 1."""
        return bytes([0x03 * (self.near_end or self.paper_out) | 0x0C * self.paper_out])

    @property
    def automatic_status(self) -> bytes:
        """The four bytes of automatic status back."""
        return (
            bytes([0x10 | 0x04 * self.drawer_open | 0x08 * self.blocked | 0x20 * self.cover, 0x08 * self.cutter])
            + self.paper_status
            + b"\x00"
        )

    def real_time_byte(self, n: int) -> int:
        """The answer to DLE EOT n, 1 to 4."""
        bits = {
            1: 0x04 * self.drawer_open | 0x08 * self.blocked,  # the sensor's pin is high while the drawer is open
            2: 0x04 * self.cover | 0x20 * self.paper_out | 0x40 * self.cutter,
            3: 0x08 * self.cutter,
            4: 0x0C * (self.near_end or self.paper_out) | 0x60 * self.paper_out,
        }
        return 0x12 | bits[n]
