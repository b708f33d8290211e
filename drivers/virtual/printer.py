"""A receipt printer that lives in a thread behind a TCP port. Rule: it fails in the ways that real printers fail.

Real-time questions (DLE EOT) are answered at once, whatever state it is in; everything else waits in its buffer while
it is off line, survives the end of the connection, and prints when it is on line again. Power off empties the buffer.
"""

from __future__ import annotations

import re
import selectors
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from drivers.errors import DriverError
from drivers.rendering.rows import Row, trimmed, wrapped
from drivers.virtual.condition import PrinterCondition, StopCause
from drivers.virtual.escpos_reader import Asked, CutOff, PaperReader

_REAL_TIME = re.compile(rb"\x10\x04([\x01-\x04])")
_REAL_TIME_BEGUN = re.compile(rb"\x10\x04?\Z")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class Slip:
    """One piece of paper; `complete` is False when the connection or the power ended before the cut."""

    number: int
    text: str
    raw: bytes
    complete: bool


class VirtualPrinter:
    """Listens at once on host:port (0: any free one); its paper has that many `columns`.

    Slips are in `slips` and in out_dir as NNN.escpos and NNN.txt, and as NNN.png where a font is installed.
    `beeps`: how often it sounded, each time.
    """

    def __init__(
        self,
        out_dir: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        columns: int = 48,
        encoding: str = "gb18030",
        echoes_process_id: bool = True,
        answers_paper_query: bool = True,
    ) -> None:
        self.slips: list[Slip] = []
        self.beeps: list[int] = []
        self._out_dir = out_dir
        self._out_dir.mkdir(parents=True, exist_ok=True)
        self._first_number = 1 + max(
            (int(p.stem) for p in out_dir.glob("[0-9]*.escpos") if p.stem.isdigit()), default=0
        )
        self._columns, self._encoding = columns, encoding
        self._echoes_process_id = echoes_process_id
        self._answers_paper_query = answers_paper_query
        self._condition = PrinterCondition()
        self._reader = PaperReader(encoding=encoding)
        self._held = b""
        self._begun = b""
        self._automatic = False
        self._connection: socket.socket | None = None
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, self._wake)
        self._done = threading.Event()
        self._changed = threading.Condition()
        self._closing = False
        self._listener: socket.socket | None = None
        self._host, self._port = host, port
        self._listen()
        self._thread = threading.Thread(target=self._serve, name="virtual-printer", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What `open_printer` takes."""
        return f"tcp:{self._host}:{self._port}"

    def hold(self) -> None:
        """Accepts connections and keeps everything: cover open, printing nothing."""
        self._change(cover=True)

    def cover_open(self, after_bytes: int | None = None) -> None:
        """The cover is open: now, or when that many bytes have been printed."""
        self._fault("cover", after_bytes)

    def paper_out(self, after_bytes: int | None = None) -> None:
        """The roll is at its end: now, or when that many bytes have been printed."""
        self._fault("paper_out", after_bytes)

    def paper_near_end(self) -> None:
        """Prints, and warns."""
        self._change(near_end=True)

    def cutter_error(self, after_bytes: int | None = None) -> None:
        """The cutter is stuck: now, or when that many bytes have been printed."""
        self._fault("cutter", after_bytes)

    def close_drawer(self) -> None:
        """Somebody closes the cash drawer."""
        self._change(drawer_open=False)

    def lock_drawer(self) -> None:
        """The drawer is locked: it does not open."""
        self._change(drawer_stuck=True)

    def off_line(self) -> None:
        """Switched off line by its button: no cause that it could name."""
        self._change(off_line=True)

    def mute(self) -> None:
        """Prints, and answers nothing."""
        self._change(mute=True)

    def unplug(self) -> None:
        """No power: connections break and are refused, the buffer is empty."""
        self._change(unplugged=True)

    def vanish_after(self, n_bytes: int) -> None:
        """Breaks the connection once, in the middle of a slip, after that many bytes of it."""
        self._change(vanish_after=n_bytes)

    def release(self) -> None:
        """Everything is well again; what it had kept is printed."""
        with self._changed:
            self._condition = PrinterCondition()
        self._act()

    def wait_for_slips(self, count: int, timeout_s: float) -> bool:
        """Waits until that many slips are out."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.slips) >= count, timeout_s)

    def close(self) -> None:
        """Ends the thread."""
        if self._thread.is_alive():
            self._closing = True
            self._act()
            self._thread.join()
            for closing in (self._selector, self._waker, self._woken):
                closing.close()

    def _fault(self, cause: StopCause, after_bytes: int | None) -> None:
        if after_bytes is None:
            self._change(**{cause: True})
        else:
            self._change(stop_after=after_bytes, stop_cause=cause)

    def _change(self, **what: bool | int | str | None) -> None:
        with self._changed:
            for name, value in what.items():
                setattr(self._condition, name, value)
        self._act()

    def _act(self) -> None:
        """Lets the thread see the new condition, and waits until it has."""
        self._done.clear()
        self._waker.send(b".")
        self._done.wait(_ANSWER_S)

    # From here on: the printer's own thread.

    def _serve(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select():
                key.data()
        self._power_off()
        self._done.set()

    def _wake(self) -> None:
        self._woken.recv(64)
        if self._condition.unplugged:
            self._power_off()
        elif self._listener is None and not self._closing:
            self._listen()
        if self._automatic:
            self._answer(self._condition.automatic_status)
        self._print_held()
        self._done.set()

    def _listen(self) -> None:
        self._listener = socket.create_server((self._host, self._port))
        self._port = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        if self._listener is None or self._connection is not None:
            return
        self._connection, _ = self._listener.accept()
        self._selector.unregister(self._listener)  # one client at a time; the next one waits in the backlog
        self._selector.register(self._connection, selectors.EVENT_READ, self._receive)

    def _receive(self) -> None:
        if self._connection is None:
            return
        try:
            data = self._connection.recv(4096)
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        job = self._answer_real_time(self._begun + data)
        limit = self._condition.vanish_after
        if limit is None:
            self._held += job
        else:
            self._held += job[:limit]
            self._condition.vanish_after = limit - len(job[:limit])
        self._print_held()
        if limit is not None and len(job) >= limit:
            self._condition.vanish_after = None
            self._hang_up(reset=True)

    def _hang_up(self, *, reset: bool = False) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._selector.unregister(connection)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        connection.close()
        self._automatic = False
        self._begun = b""
        if self._listener is not None:
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        if not self._held and self._reader.text:
            self._keep_torn()

    def _power_off(self) -> None:
        self._held = b""
        self._hang_up(reset=True)
        if self._reader.text:
            self._keep_torn()
        self._reader = PaperReader(encoding=self._encoding)
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _answer_real_time(self, data: bytes) -> bytes:
        """Answers DLE EOT; returns the bytes for the buffer, and keeps a question of which only the start has come."""
        for match in _REAL_TIME.finditer(data):
            self._answer(bytes([self._condition.real_time_byte(match[1][0])]))
        job = _REAL_TIME.sub(b"", data)
        begun = _REAL_TIME_BEGUN.search(job)
        self._begun = begun.group() if begun else b""
        return job[: len(job) - len(self._begun)]

    def _print_held(self) -> None:
        condition = self._condition
        if condition.blocked or not self._held:
            return
        limit = len(self._held) if condition.stop_after is None else condition.stop_after
        data, self._held = self._held[:limit], self._held[limit:]
        condition.fed(len(data))
        pictures = []
        for event in self._reader.feed(data):
            if isinstance(event, CutOff):
                pictures.append((self._keep(event, complete=True), event.rows))
            else:
                self._answer_asked(event)
        for slip, rows in pictures:  # drawn last: the client is waiting for the answers, not for this
            self._draw(slip, rows)

    def _keep(self, paper: CutOff, *, complete: bool) -> Slip:
        with self._changed:
            slip = Slip(self._first_number + len(self.slips), paper.text, paper.raw, complete)
            stem = self._out_dir / f"{slip.number:03d}"
            stem.with_suffix(".escpos").write_bytes(slip.raw)
            stem.with_suffix(".txt").write_text(slip.text + ("\n" if complete else "\n[TORN]\n"), encoding="utf-8")
            self.slips.append(slip)
            self._changed.notify_all()
            return slip

    def _draw(self, slip: Slip, rows: Sequence[Row]) -> None:
        """Leaves the picture of what the bytes say; bytes that no picture can show leave none."""
        from drivers.rendering.picture import draw  # loads Pillow: only for who has a stand-in

        with suppress(DriverError):
            picture = draw(wrapped(trimmed(rows), self._columns), self._columns)
            (self._out_dir / f"{slip.number:03d}.png").write_bytes(picture)

    def _keep_torn(self) -> None:
        paper = self._reader.tear_off()
        self._draw(self._keep(paper, complete=False), paper.rows)

    def _answer_asked(self, asked: Asked) -> None:
        match asked.kind:
            case "paper" if self._answers_paper_query:
                self._answer(self._condition.paper_status)
            case "process_id" if self._echoes_process_id:
                self._answer(b"\x37\x22" + asked.argument + b"\x00")
            case "drawer":
                self._condition.drawer_open = not self._condition.drawer_stuck
            case "beep":
                self.beeps.append(asked.argument[0])
            case "automatic":
                self._automatic = asked.argument != b"\x00"
                self._answer(self._condition.automatic_status)

    def _answer(self, data: bytes) -> None:
        if self._connection is None or self._condition.mute:
            return
        try:
            self._connection.send(data)
        except OSError:
            return  # the client has gone; its end of file comes next
