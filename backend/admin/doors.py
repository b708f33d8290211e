"""What the running server opens for its operators.

The one rule: what changes anything is at the socket; the page only shows.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from backend.admin.api import create_admin_app
from backend.admin.listening import bind_admin, bind_loopback
from backend.admin.page import create_page_app
from backend.admin.table import OPERATIONS
from backend.compose import Backend


def operators_doors(backend: Backend, directory: Path, page_port: int | None) -> list[tuple[Any, socket.socket]]:
    """Applications with their bound sockets, for ``listening``. Raises OSError."""
    doors = [(create_admin_app(backend, OPERATIONS), bind_admin(directory))]
    if page_port is not None:
        doors.append((create_page_app(backend), bind_loopback(page_port)))
    return doors
