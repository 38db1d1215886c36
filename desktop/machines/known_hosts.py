"""Which keys of SSH servers a person trusts: the text of `known_hosts` files, judged without I/O.

    lines + ("[host]:port", key) ─▶ KNOWN, UNKNOWN, CHANGED or REVOKED

Rules: names may be hashed, be patterns with `*` and `?`, or be negated with `!`; a port other than
22 is part of the name (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). A line marked `@revoked` refuses its
key whatever else is known. A line that is not understood says nothing. Nothing is ever added to
the files: that is for the person, by `ssh` or `ssh-keyscan`.

Limits: certificates of hosts (`@cert-authority`) are not judged, since paramiko offers none.

Counterpart: `paramiko/connection.py`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Final

__all__ = ["Judgement", "KnownHosts", "host_name"]

DEFAULT_PORT: Final = 22
HASH_MAGIC: Final = "|1|"
"""What a hashed name begins with: HMAC-SHA1 with a salt of its own (sshd(8))."""

REVOKED: Final = "@revoked"
NOT_A_NAME: Final = "[]"
"""`fnmatch` knows classes in brackets; known_hosts does not."""


class Judgement(Enum):
    """What the files say of a server's key."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a file, split into its fields."""

    marker: str
    names: tuple[str, ...]
    kind: str
    key: bytes


def host_name(host: str, port: int = DEFAULT_PORT) -> str:
    """How `known_hosts` calls a server."""
    return host.lower() if port == DEFAULT_PORT else f"[{host.lower()}]:{port}"


class KnownHosts:
    """The lines of all files of a person and of the computer."""

    def __init__(self, text: Iterable[str] = ()) -> None:
        parsed = (_parsed(line) for line in text)
        self._lines = [line for line in parsed if line is not None]

    def kinds(self, name: str) -> list[str]:
        """The kinds of keys known for a server: those to ask it for, in the order of the files."""
        found = (line.kind for line in self._lines if not line.marker and _names(line, name))
        return list(dict.fromkeys(found))

    def judge(self, name: str, kind: str, key: bytes) -> Judgement:
        """What the files say of `key`, in the form of RFC 4253, of the server called `name`.

        A key of a kind of which none is known has not changed: the server may have had it before.
        """
        lines = [line for line in self._lines if _names(line, name)]
        if any(line.marker == REVOKED and line.key == key for line in lines):
            return Judgement.REVOKED
        keys = [line.key for line in lines if not line.marker and line.kind == kind]
        if key in keys:
            return Judgement.KNOWN
        return Judgement.CHANGED if keys else Judgement.UNKNOWN


def _parsed(line: str) -> _Line | None:
    fields = line.split()
    marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
    if len(fields) < 3 or fields[0].startswith("#"):
        return None
    try:
        key = base64.b64decode(fields[2], validate=True)
    except ValueError:
        return None
    return _Line(marker, tuple(fields[0].split(",")), fields[1], key)


def _names(line: _Line, name: str) -> bool:
    """Whether a line speaks of the server: a negated pattern that fits outweighs all others."""
    is_meant = False
    for pattern in line.names:
        if pattern.startswith("!"):
            if _fits(pattern[1:], name):
                return False
        elif _fits(pattern, name):
            is_meant = True
    return is_meant


def _fits(pattern: str, name: str) -> bool:
    if pattern.startswith(HASH_MAGIC):
        return _is_hash_of(pattern, name)
    # A bracket stands for itself: in fnmatch, "[" is written as "[[]".
    literal = "".join(f"[{each}]" if each in NOT_A_NAME else each for each in pattern.lower())
    return fnmatchcase(name, literal)


def _is_hash_of(pattern: str, name: str) -> bool:
    salt, _, expected = pattern.removeprefix(HASH_MAGIC).partition("|")
    try:
        found = hmac.digest(base64.b64decode(salt), name.encode(), hashlib.sha1)
        return hmac.compare_digest(found, base64.b64decode(expected))
    except ValueError:
        return False
