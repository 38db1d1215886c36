"""What descriptors a process holds, by kind, as the kernel tells (proc(5), /proc/PID/net).

Rules: counts of one moment, in which the process goes on; who wants something exact asks until it
is at rest. Counterparts: `levels.py`, `listening.py`.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

__all__ = ["CLOSE_WAIT", "Inet", "held_by", "inets_around"]

LISTEN: Final = "0A"
CLOSE_WAIT: Final = "08"
"""net/tcp_states.h, as /proc/net/tcp has it."""
_TABLES: Final = ("tcp", "tcp6", "udp", "udp6")
_INODE: Final = 9


@dataclass(frozen=True)
class Inet:
    """A TCP or UDP socket; `peer` is the port of the other end, 0 if there is none."""

    protocol: str
    address: str
    port: int
    state: str
    peer: int

    @property
    def listens(self) -> bool:
        """True if anybody may connect to it, or send to it."""
        return self.state == LISTEN if self.protocol == "tcp" else not self.peer


def held_by(process: int) -> tuple[Counter[str], list[Inet]]:
    """How many descriptors of each kind, and its sockets of the Internet protocols.

    Kinds are tcp, udp, unix, netlink and other protocols, "closed tcp" for one that is neither a
    connection nor a listener any more, pipe, file, and what the kernel calls the rest.
    """
    folder = Path(f"/proc/{process}")
    kinds: Counter[str] = Counter()
    sockets = {}
    for entry in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            link = os.readlink(entry)
            kind = _protocol(entry) if link.startswith("socket:[") else _kind(link)
            kinds[kind] += 1
            sockets[link.removeprefix("socket:[").rstrip("]")] = kind
    inets = [_inet(*row) for row in _table(folder) if row[1][_INODE] in sockets]
    closed = kinds["tcp"] - sum(each.protocol == "tcp" for each in inets)
    return +(kinds - Counter(tcp=closed) + Counter({"closed tcp": closed})), inets


def inets_around(process: int) -> list[Inet]:
    """The sockets that wait for anybody in the network of a process, whoever has them."""
    inets = [_inet(*row) for row in _table(Path(f"/proc/{process}"))]
    return [each for each in inets if each.listens]


def _table(folder: Path) -> list[tuple[str, list[str]]]:
    return [(table, words) for table in _TABLES for words in _rows(folder, table)]


def _protocol(entry: Path) -> str:
    """`TCPv6` is tcp, as `UNIX-STREAM` is unix (net/socket.c, sockfs_xattr_get)."""
    name = os.getxattr(entry, "system.sockprotoname").decode().rstrip("\0")
    return name.lower().partition("-")[0].removesuffix("v6")


def _kind(link: str) -> str:
    """`/dev/null` is a file, `pipe:[1]` a pipe, `anon_inode:[eventpoll]` an eventpoll."""
    if link.startswith("/"):
        return "file"
    kind, _, name = link.partition(":")
    return name.strip("[]") if kind == "anon_inode" else kind


def _rows(folder: Path, table: str) -> list[list[str]]:
    lines = (folder / "net" / table).read_text().splitlines()[1:]
    return [words for line in lines if len(words := line.split()) > _INODE]


def _inet(table: str, words: list[str]) -> Inet:
    address, port = _endpoint(words[1])
    _, peer = _endpoint(words[2])
    return Inet(table.rstrip("6"), address, port, words[3], peer)


def _endpoint(text: str) -> tuple[str, int]:
    """`0100007F:1F90` is 127.0.0.1, 8080: words of 32 bits, as the processor has them."""
    digits, _, port = text.partition(":")
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    kind = IPv4Address if len(packed) == IPv4Address(0).max_prefixlen // 8 else IPv6Address
    return str(kind(packed)), int(port, 16)
