"""An operator's way to the running server: plain HTTP over its Unix socket, standard library only.

The one rule: no server at the socket is not an error, it is the answer None; then the caller may open the database.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from backend.admin.listening import short_path
from backend.admin.operation import Refused, Step

CONNECT_S: Final = 5.0
ANSWER_S: Final = 600.0
"""A server under load may take its time; an audit of a large ledger, minutes."""


def connect(directory: Path) -> socket.socket | None:
    """A connection to the server of a backend's directory, or None when there is none."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(CONNECT_S)
    try:
        with short_path(directory) as path:
            connection.connect(path)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        connection.close()
        return None
    connection.settimeout(ANSWER_S)
    return connection


def ask(connection: socket.socket, name: str, params: Mapping[str, Any]) -> Iterator[Step]:
    """The steps of an operation, as ``operation.perform`` gives them. Raises Refused; closes the connection."""
    over = http.client.HTTPConnection("localhost")
    over.sock = connection
    try:
        over.request("POST", f"/v1/operations/{name}", json.dumps(params), {"Content-Type": "application/json"})
        yield from _steps(over.getresponse())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Refused(f"the server did not finish its answer ({str(error) or type(error).__name__})") from error
    finally:
        over.close()


def _steps(response: http.client.HTTPResponse) -> Iterator[Step]:
    if response.status != 200:
        raise Refused(f"the server answered with HTTP status {response.status}; is it of another version?")
    for line in response:
        step = json.loads(line)
        if "refused" in step:
            raise Refused(step["refused"])
        yield step
        if "answer" in step:
            return
    raise Refused("the server ended before its answer was complete")
