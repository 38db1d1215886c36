"""Does an agent answer behind a transport? Asked with the first words of a handshake.

Some transports show only after the connect that nobody is there, or that the way is forbidden. The
agent says who it is before anything is proven, so no secret is needed. Counterpart:
`link.handshake`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Final

from desktop.transports.transport import Transport, TransportError
from link.handshake import NONCE_SIZE, SECRET_SIZE, DesktopHandshake, HandshakeError, Role

__all__ = ["PROBE_SECONDS", "probe"]

PROBE_SECONDS: Final = 5.0


async def probe(transport: Transport) -> None:
    """See that an agent of our version answers. Raises TransportError."""
    stream = await transport.open()
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await _greet(stream)
    except TimeoutError as error:
        raise TransportError("the agent does not answer") from error
    except (OSError, HandshakeError) as error:
        raise TransportError(f"the agent is not behind it: {error}") from error
    finally:
        stream.close()


async def _greet(stream: socket.socket) -> None:
    """Say who we are, and hear who is there; the proofs that would follow are left out."""
    loop = asyncio.get_running_loop()
    greeting = DesktopHandshake(bytes(SECRET_SIZE), os.urandom(NONCE_SIZE), Role.OUTBOUND)
    await loop.sock_sendall(stream, greeting.start())
    answer = b""
    while not answer:
        said = await loop.sock_recv(stream, greeting.wanted)
        if not said:
            raise TransportError("the way to the agent is closed")
        answer = greeting.receive(said)
