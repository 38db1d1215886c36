"""Who is not on loopback does not get to what is on loopback: bridged containers, the machine's
network, other computers; by no address, and not by packets that they make themselves.

Counterparts: `test_semantics.py` asks by every address that there is; here the machine's kernel is
told to let loopback's packets in from bridges, as an engine without its userland proxy tells it.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from typing import Final

import pytest

from tests.integration.bpf_stage import require_bpf
from tests.integration.conftest import require_root
from tests.integration.other_host import OtherHost, other_host
from tests.integration.samehost import (
    IMAGE,
    PATIENCE,
    Samehost,
    quiet_ports,
    running_samehost,
    until,
)
from tests.integration.servers import GREETER

ATTEMPT_SECONDS: Final = 1.0
"""How long a packet that nobody answers is waited for."""

FORGER: Final = """
import fcntl, select, socket, struct, sys, time
target, number, protocol = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

with open("/proc/net/route") as file:
    rows = [line.split() for line in file]
gateway = next(struct.pack("<I", int(row[2], 16)) for row in rows if row[1] == "00000000")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    probe.connect((socket.inet_ntoa(gateway), 9))
    probe.send(b"who has")
    own = socket.inet_aton(probe.getsockname()[0])
    name = struct.pack("256s", b"eth0")
    mac = fcntl.ioctl(probe, 0x8927, name)[18:24]
deadline = time.monotonic() + 5
while True:
    with open("/proc/net/arp") as file:
        rows = [line.split() for line in file]
    found = [row[3] for row in rows if row[0] == socket.inet_ntoa(gateway)]
    if found and found[0] != "00:00:00:00:00:00":
        break
    assert time.monotonic() < deadline, "the gateway has no address"
    select.select([], [], [], 0.01)

if protocol == "tcp":
    body = struct.pack("!HHIIBBHHH", 4242, number, 7, 0, 5 << 4, 2, 1024, 0, 0)
    pseudo = own + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, len(body))
    body = body[:16] + struct.pack("!H", checksum(pseudo + body)) + body[18:]
else:
    body = struct.pack("!HHHH", 4242, number, 14, 0) + b"forged"
kind = {"tcp": 6, "udp": 17}[protocol]
head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, kind, 0)
head += own + socket.inet_aton(target)
head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
frame = bytes.fromhex(found[0].replace(":", "")) + mac + b"\\x08\\x00" + head + body
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as raw:
    raw.bind(("eth0", 0))
    for _ in range(3):
        raw.send(frame)
    deadline, said = time.monotonic() + float(sys.argv[4]), "nothing"
    while (left := deadline - time.monotonic()) > 0 and select.select([raw], [], [], left)[0]:
        data = raw.recv(65536)
        is_for_us = data[26:30] == socket.inet_aton(target) and data[36:38] == b"\\x10\\x92"
        if data[23] == kind and is_for_us and (kind == 17 or data[47] & 0x12 == 0x12):
            said = "an answer"
            break
print(said)
"""
"""A program in a bridged container: sends packets for an address of the machine's loopback to the
gateway, and says whether anything came back from there: a datagram, or the second step of TCP."""

PLAIN: Final = """
import socket, sys
port = int(sys.argv[1])
tcp = socket.create_server(("127.0.0.1", port))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", port))
while True:
    words, peer = udp.recvfrom(100)
    udp.sendto(words, peer)
"""
"""A server on the machine's loopback, which no kernel but a good one keeps to itself."""


@pytest.fixture(scope="module", params=["auto", "off"], ids=["redirect", "stubs"])
def samehost(request: pytest.FixtureRequest) -> Iterator[Samehost]:
    """Its machine lets packets for 127.0.0.0/8 in from everywhere."""
    if request.param == "auto":
        require_bpf()
    with running_samehost(ebpf=request.param) as one:
        open_loopback(one)
        yield one


def open_loopback(samehost: Samehost) -> None:
    """As an engine without its userland proxy does, and more."""
    script = (
        "for each in /proc/sys/net/ipv4/conf/*; do"
        " echo 1 > $each/route_localnet; echo 0 > $each/rp_filter; done"
    )
    network = ["nsenter", "--target", str(samehost.agent()), "--net"]
    subprocess.run([*network, "sh", "-c", script], check=True)


def forge(
    samehost: Samehost, target: str, port: int, protocol: str, patience: float = ATTEMPT_SECONDS
) -> str:
    """What a bridged container gets for packets of its own make, in that time."""
    return samehost.docker(
        *("run", "--rm", "--network=bridge", "-v", "/:/desktop:ro", IMAGE),
        *("busybox", "chroot", "/desktop", "/usr/bin/python3", "-c", FORGER),
        *(target, str(port), protocol, str(patience)),
    )


@contextlib.contextmanager
def desktop_servers(port: int) -> Iterator[socket.socket]:
    """Of both protocols on this computer's loopback; the UDP one, which the test asks."""
    with (
        socket.create_server(("127.0.0.1", port)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        tcp.listen()
        udp.bind(("127.0.0.1", port))
        udp.settimeout(PATIENCE)
        yield udp


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_packets_that_a_bridged_container_makes_reach_no_port_of_this_computer(
    samehost: Samehost, protocol: str
) -> None:
    port = quiet_ports(2)
    encoded = f"127.77.{port >> 8}.{port & 255}"
    with desktop_servers(port) as udp:
        until(lambda: samehost.states(port, "host") == ["active"] * 2, "the ports in the machine")
        for target, number in (("127.0.0.1", port), (encoded, 1), (encoded, port)):
            assert forge(samehost, target, number, protocol) == "nothing", target
        # Had a datagram come, it would be the first one.
        with samehost.container(
            "sh", "-c", f"echo honest | socat -u - UDP4-SENDTO:127.0.0.1:{port}"
        ):
            assert udp.recv(100) == b"honest\n"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_such_packets_do_reach_what_is_just_bound_to_loopback_there(
    samehost: Samehost, protocol: str
) -> None:
    """So the test before this one tells something."""
    port = quiet_ports(1)
    with samehost.python(PLAIN, str(port)):
        until(lambda: len(samehost.rows(port)) == 2, "the server")
        assert forge(samehost, "127.0.0.1", port, protocol, PATIENCE) == "an answer"


# Other computers


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[OtherHost]:
    """Another computer, which sends packets for loopback over its cable to this one."""
    require_root()
    with other_host() as host:
        host.allow_loopback_routes()
        host.ip("route", "add", "127.0.0.0/8", "via", host.addresses[0])
        host.ip("route", "add", "::1/128", "via", host.addresses[2])
        yield host


def reach(
    host: OtherHost, address: str, port: int, kind: int, patience: float = ATTEMPT_SECONDS
) -> str:
    """What a client on the other computer hears in that time, or how it fails."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with host.socket(family, kind) as client:
        client.settimeout(patience)
        try:
            client.connect((address, port))
            client.send(b"hello")
            return client.recv(100).decode()
        except OSError as error:
            return f"nothing: {type(error).__name__}"


UDP_HELLO: Final = """
import socket, sys
sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], int(sys.argv[2])))
while True:
    sock.sendto(b"hello", sock.recvfrom(100)[1])
"""


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
@pytest.mark.parametrize("loopback", ["127.0.0.1", "::1", "127.0.0.2"])
def test_another_computer_does_not_reach_a_mirror_on_loopback(
    samehost: Samehost, elsewhere: OtherHost, loopback: str, kind: int
) -> None:
    port = quiet_ports(1)
    code = GREETER if kind == socket.SOCK_STREAM else UDP_HELLO
    words = ["v6only", "hello"] if kind == socket.SOCK_STREAM else []
    with samehost.python(code, loopback, str(port), *words):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        for address in (*elsewhere.addresses, loopback):
            assert reach(elsewhere, address, port, kind).startswith("nothing"), address
    port = quiet_ports(1)
    everywhere = "::" if loopback == "::1" else "0.0.0.0"
    with samehost.python(code, everywhere, str(port), *words):
        until(lambda: set(samehost.states(port)) == {"active"}, "the mirror")
        address = elsewhere.addresses[2 if loopback == "::1" else 0]
        heard = reach(elsewhere, address, port, kind, PATIENCE)
        assert heard == "hello", "a mirror for all is for all"
