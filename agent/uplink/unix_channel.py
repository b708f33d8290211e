"""The channel over a Unix socket: `run` listens, `uplink` connects.

The one rule: the socket is readable and writable by its owner only, from the moment it exists.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.unix_socket import bound
from agent.uplink.channel import Channel, Handler
from agent.uplink.remote import READ_BYTES_MAX

OWNER_ONLY = 0o600


async def connect_unix(path: Path, handlers: Mapping[str, Handler]) -> Channel:
    """Connect to `run`; the caller runs the channel. Raises OSError when nobody listens."""
    reader, writer = await asyncio.open_unix_connection(path)
    return Channel(reader, writer, handlers)


async def serve_unix(
    path: Path, handlers: Mapping[str, Handler], attach: Callable[[Channel], None]
) -> asyncio.AbstractServer:
    """Listen at `path` (mode 0600; what an earlier process left there goes) and run each channel that comes.

    `attach` learns of a channel before its first message is read. Raises OSError.
    """

    async def run_channel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = Channel(reader, writer, handlers, read_bytes_max=READ_BYTES_MAX)
        attach(channel)
        await channel.run()

    return await asyncio.start_unix_server(run_channel, sock=bound(path, OWNER_ONLY))
