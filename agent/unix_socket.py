"""A Unix socket of this lane that listens, bound with its mode from the first moment.

The one rule: nobody but whom the mode names can ever connect, not even between two system calls.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path


def bound(path: Path, mode: int) -> socket.socket:
    """The socket, in place of one that a killed process left behind. Raises OSError."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o777 & ~mode)  # bind() creates the file: a chmod afterwards would leave it open for a moment
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(umask)
    return listener
