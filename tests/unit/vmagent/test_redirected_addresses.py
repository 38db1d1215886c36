"""What a redirected address means, which cgroups are the machine's own, and the route for IPv6."""

from __future__ import annotations

import errno
import socket
import struct
from pathlib import Path

import pytest

from link.messages import StubKey
from tests.private_network import private_network
from vmagent.desktop_ports.encoded import PREFIX6, asked_for
from vmagent.desktop_ports.loopback_route import check_answer, keep_local
from vmagent.watch import own_cgroups
from vmagent.watch.own_cgroups import find_own_cgroups

RTF_EXPIRES = 0x00400000
"""linux/ipv6_route.h."""


def packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


@pytest.mark.parametrize(
    ("address", "meant", "port"),
    [
        ("127.77.0.80", "127.0.0.1", 80),
        ("127.77.31.144", "127.0.0.1", 8080),
        ("127.77.255.255", "127.0.0.1", 65535),
        ("fd53:616d:6568::50", "::1", 80),
        ("fd53:616d:6568::ffff", "::1", 65535),
    ],
)
def test_a_redirected_address_says_what_was_asked_for(address: str, meant: str, port: int) -> None:
    assert asked_for(packed(address), "udp") == StubKey(meant, port, "udp")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.77.0.0", "::1", "fd53:616d:6568::", "fd53:616d:6568::1:0", "fd53::50"],
)
def test_another_address_says_nothing(address: str) -> None:
    assert asked_for(packed(address), "tcp") is None


@private_network
def test_addresses_are_local_by_a_route_that_expires_and_may_be_renewed() -> None:
    place = socket.inet_ntop(socket.AF_INET6, PREFIX6 + b"\0\0\0\7")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        with pytest.raises(OSError, match="unreachable"):
            sock.connect((place, 1))
        for _ in range(2):
            keep_local(PREFIX6, 8 * len(PREFIX6))
            sock.connect((place, 1))
        assert sock.getsockname()[0] == "::1"
    routes = Path("/proc/thread-self/net/ipv6_route").read_text().splitlines()
    (flags,) = (int(line.split()[8], 16) for line in routes if line.startswith(PREFIX6.hex()))
    assert flags & RTF_EXPIRES


PATHS = (
    "/",
    "/init.scope",
    "/system.slice/docker.service",
    f"/system.slice/docker-{'a' * 64}.scope",
    f"/docker/{'b' * 64}",
    f"/docker/{'b' * 64}/inner",
    "/unknown",
    "/ours",
)


class Tree:
    """A machine's cgroups, the index in PATHS being the id."""

    has_version_1 = False

    def __init__(self, _proc: str) -> None:
        self.paths = dict(enumerate(PATHS))


def test_the_machines_own_cgroups_are_those_that_surely_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(own_cgroups, "CgroupTree", Tree)
    for name, path in (("1", "/init.scope"), ("self", "/ours")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup").write_text(f"0::{path}\n")
    assert find_own_cgroups(str(tmp_path)) == {0, 1, 2, 7}
    monkeypatch.setattr(Tree, "has_version_1", True)
    assert find_own_cgroups(str(tmp_path)) == frozenset()


@pytest.mark.parametrize(
    ("kind", "status", "number"),
    [
        (2, -errno.EPERM, errno.EPERM),
        (3, 0, 0),
        (2, None, errno.EBADMSG),
        (2, -(1 << 31), errno.EBADMSG),
    ],
)
def test_an_answer_that_is_no_route_is_an_os_error(
    kind: int, status: int | None, number: int
) -> None:
    answer = struct.pack("=IHHII", 36, kind, 0, 1, 0)
    with pytest.raises(OSError, match="no route") as caught:
        check_answer(answer if status is None else answer + struct.pack("=i", status))
    assert caught.value.errno == number


@pytest.mark.parametrize("status", [0, -errno.EEXIST])
def test_a_route_that_is_new_or_was_there_is_an_answer(status: int) -> None:
    check_answer(struct.pack("=IHHIIi", 36, 2, 0, 1, 0, status))
