"""The text table of connected UDP sockets, with real sockets and a captured line."""

from __future__ import annotations

import errno
import os
import socket
import struct
from pathlib import Path

import pytest

from link import udp_table
from link.udp_table import connected_sockets


@pytest.mark.parametrize(
    ("family", "peer", "told"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "127.3.2.1", "127.3.2.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::ffff:127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_socket_is_told_with_its_peer_once_it_has_one(
    family: socket.AddressFamily, peer: str, told: str
) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        inode = os.fstat(sock.fileno()).st_ino
        assert inode not in {each.inode for each in connected_sockets()}
        sock.connect((peer, 4567))
        (found,) = (each for each in connected_sockets() if each.inode == inode)
        assert found == (inode, sock.getsockname()[1], told, 4567)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("B80D01200000000067452301EFCDAB89", "2001:db8::123:4567:89ab:cdef"),
    ],
)
def test_addresses_are_read_as_a_little_endian_kernel_writes_them(
    monkeypatch: pytest.MonkeyPatch, text: str, address: str
) -> None:
    monkeypatch.setattr(udp_table, "_GROUP", struct.Struct("<I"))
    udp_table._address.cache_clear()
    try:
        assert udp_table._address(text) == address
    finally:
        udp_table._address.cache_clear()


@pytest.mark.parametrize(
    "line",
    [
        "309:",
        "309: 0100007F:0035 0100007F:9C40 01 short",
        "309: 0100007F:0035 0100007F:9C40 01 0:0 00:0 0 101 0 inode 2",
        "309: 0100007F:0035 0100:9C40 01 0:0 00:0 0 101 0 24101 2",
        "309: 0100007F:0035 0100007F:99C40 01 0:0 00:0 0 101 0 24101 2",
        "309: 0100007F:0035 FFFFFFFFF:9C40 01 0:0 00:0 0 101 0 24101 2",
    ],
)
def test_a_line_that_the_kernel_would_not_write_is_an_os_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    (tmp_path / "udp").write_text(f"header\n{line}\n")
    monkeypatch.setattr(udp_table, "TABLES", (str(tmp_path / "udp"),))
    with pytest.raises(OSError, match="not a line") as caught:
        list(connected_sockets())
    assert caught.value.errno == errno.EBADMSG


def test_an_empty_table_has_no_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "udp").write_bytes(b"")
    monkeypatch.setattr(udp_table, "TABLES", (str(tmp_path / "udp"),))
    assert list(connected_sockets()) == []
