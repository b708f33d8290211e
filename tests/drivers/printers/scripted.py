"""A printer's line that answers as told. Rule: only for what the virtual printer does not do on request."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable


class ScriptedPrinter:
    """A line that is good in real time and answers GS r as told; for what no real printer does on request."""

    def __init__(
        self,
        *,
        reads: bool = True,
        before_each_answer: bytes = b"",
        answer_paper_query: Callable[[int], bytes] = lambda count: b"",
        answers_everything_with: bytes = b"",
    ) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._server.settimeout(60)
        self.address = f"tcp:127.0.0.1:{self._server.getsockname()[1]}"
        self._reads = reads
        self._before = before_each_answer
        self._answer = answer_paper_query
        self._nonsense = answers_everything_with
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.close()
        for connection in self._open:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._open.append(connection)
            if self._reads:
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        queries = 0
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                if self._nonsense:
                    connection.sendall(self._nonsense)
                    continue
                if real_time := data.count(b"\x10\x04"):
                    connection.sendall(self._before + b"\x12" * real_time)
                for _ in range(data.count(b"\x1dr\x01")):
                    queries += 1
                    for byte in self._answer(queries):
                        connection.sendall(self._before + bytes([byte]))
                        time.sleep(0.01)
