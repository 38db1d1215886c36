"""Who is there: version exchange and mutual authentication, the first bytes of every stream.

    desktop → agent   "SMHO" | protocol (2) | role (1) | nonce (32)
    agent → desktop   "SMHO" | protocol (2) | nonce (32)
    desktop → agent   proof (32)
    agent → desktop   proof (32)

A proof is HMAC-SHA256 (RFC 2104) with the session's secret over a label of the sender, the role
and both nonces. The desktop proves itself first: a stranger who reaches the agent's port (any
host-networked container can) learns the protocol's number and nothing else.

Rules: bytes in, bytes out; no I/O, no clock, nonces are handed in. The caller bounds the time.
Counterpart: `wire.py` speaks on the stream from then on.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from enum import IntEnum
from typing import Final

from link.version import PROTOCOL

__all__ = [
    "NONCE_SIZE",
    "SECRET_SIZE",
    "AgentHandshake",
    "AuthenticationError",
    "DesktopHandshake",
    "HandshakeError",
    "Role",
    "VersionError",
]

SECRET_SIZE: Final = 32
"""Bytes of the session's secret: 256 bits."""
NONCE_SIZE: Final = 32
_MAGIC: Final = b"SMHO"
_PROOF_SIZE: Final = hashlib.sha256().digest_size
_DESKTOP_HELLO: Final = struct.Struct(f"!4sHB{NONCE_SIZE}s")
_AGENT_HELLO: Final = struct.Struct(f"!4sH{NONCE_SIZE}s")


class HandshakeError(Exception):
    """The other end does not speak our protocol."""


class VersionError(HandshakeError):
    """The other end speaks another version of it: `protocol`."""

    def __init__(self, protocol: int) -> None:
        super().__init__(f"the other end speaks protocol {protocol}, not {PROTOCOL}")
        self.protocol = protocol


class AuthenticationError(HandshakeError):
    """The other end does not know the session's secret."""


class Role(IntEnum):
    """What a stream is for, said by the desktop, who opens them all."""

    CONTROL = 1
    OUTBOUND = 2
    """The desktop will draw it for a client of a mirror on the desktop."""
    PARKED = 3
    """The agent will draw it for a client of a stub in the machine."""


def _proof(secret: bytes, label: bytes, role: Role, desktop: bytes, agent: bytes) -> bytes:
    return hmac.digest(secret, label + bytes((role,)) + desktop + agent, "sha256")


class _Handshake:
    """The part both ends share: collecting bytes for the step that comes next."""

    def __init__(self, secret: bytes, nonce: bytes) -> None:
        if len(secret) != SECRET_SIZE or len(nonce) != NONCE_SIZE:
            raise ValueError("secret or nonce has the wrong size")
        self._secret = secret
        self._nonce = nonce
        self._buffer = b""
        self._step = 0
        self.is_done = False

    @property
    def wanted(self) -> int:
        """Bytes to read next, and no more: what follows the handshake is somebody else's."""
        return 0 if self.is_done else self._step - len(self._buffer)

    def _take(self, data: bytes) -> bytes | None:
        """The whole of this step, once it is there. Raises HandshakeError for more than that."""
        self._buffer += data
        if len(self._buffer) < self._step:
            return None
        if len(self._buffer) > self._step:
            raise HandshakeError("the other end spoke out of turn")
        taken, self._buffer = self._buffer, b""
        return taken

    def _check(self, proof: bytes, expected: bytes) -> None:
        if not hmac.compare_digest(proof, expected):
            raise AuthenticationError("the other end does not know this session's secret")


class DesktopHandshake(_Handshake):
    """The dialling end."""

    def __init__(self, secret: bytes, nonce: bytes, role: Role) -> None:
        super().__init__(secret, nonce)
        self._role = role
        self._agent_nonce: bytes | None = None
        self._step = _AGENT_HELLO.size

    def start(self) -> bytes:
        """The first bytes to send."""
        return _DESKTOP_HELLO.pack(_MAGIC, PROTOCOL, self._role, self._nonce)

    def receive(self, data: bytes) -> bytes:
        """Take what came (at most `wanted`), give what to send. Raises HandshakeError."""
        taken = self._take(data)
        if taken is None:
            return b""
        if self._agent_nonce is None:
            return self._receive_hello(taken)
        self._check(taken, self._prove(b"agent"))
        self.is_done = True
        return b""

    def _receive_hello(self, hello: bytes) -> bytes:
        magic, protocol, self._agent_nonce = _AGENT_HELLO.unpack(hello)
        if magic != _MAGIC:
            raise HandshakeError("what answers there is not a Samehost agent")
        if protocol != PROTOCOL:
            raise VersionError(protocol)
        self._step = _PROOF_SIZE
        return self._prove(b"desktop")

    def _prove(self, label: bytes) -> bytes:
        return _proof(self._secret, label, self._role, self._nonce, self._agent_nonce or b"")


class AgentHandshake(_Handshake):
    """The accepting end. `role` is known once done."""

    def __init__(self, secret: bytes, nonce: bytes) -> None:
        super().__init__(secret, nonce)
        self.role: Role | None = None
        self._desktop_nonce = b""
        self._desktop_protocol = PROTOCOL
        self._step = _DESKTOP_HELLO.size

    def receive(self, data: bytes) -> bytes:
        """Take what came (at most `wanted`), give what to send. Raises HandshakeError.

        For a desktop of another version the answer still says which version we are; the error
        comes with its next bytes.
        """
        if self._desktop_protocol != PROTOCOL:
            raise VersionError(self._desktop_protocol)
        taken = self._take(data)
        if taken is None:
            return b""
        if self.role is None:
            return self._receive_hello(taken)
        self._check(taken, self._prove(self.role, b"desktop"))
        self.is_done = True
        return self._prove(self.role, b"agent")

    def _receive_hello(self, hello: bytes) -> bytes:
        magic, protocol, role, self._desktop_nonce = _DESKTOP_HELLO.unpack(hello)
        if magic != _MAGIC or role not in tuple(Role):
            raise HandshakeError("what called is not a Samehost desktop")
        self.role = Role(role)
        self._desktop_protocol = protocol
        self._step = _PROOF_SIZE
        return _AGENT_HELLO.pack(_MAGIC, PROTOCOL, self._nonce)

    def _prove(self, role: Role, label: bytes) -> bytes:
        return _proof(self._secret, label, role, self._desktop_nonce, self._nonce)
