"""Where redirection ends, and what is then: on purpose, and the same on every kernel.

Counterparts: `vmagent/bpf/redirect.bpf.c`, whose limits these are; `tests/e2e/test_kernels.py`
runs this on other kernels.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from link.messages import StubKey
from tests.integration.bpf_stage import new_cgroup, require_bpf
from tests.ports_stage import Stage, on_stage
from tests.private_network import private_network
from vmagent.bpf.redirect_bytecode import PROGRAMS
from vmagent.bpf.redirection import Redirection
from vmagent.bpf.system import BpfError

PORT: Final = 8080
V4: Final = StubKey("127.0.0.1", PORT)
V6: Final = StubKey("::1", PORT)

PORTS_OF_THE_KERNELS_CHOICE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")

V6_ONLY: Final = [[int(socket.IPPROTO_IPV6), int(socket.IPV6_V6ONLY), 1]]

redirected = pytest.mark.parametrize("way", ["redirect"])


@contextlib.contextmanager
def only_port(port: int) -> Iterator[None]:
    """The kernel has this one to choose, in this network."""
    usual = PORTS_OF_THE_KERNELS_CHOICE.read_text()
    PORTS_OF_THE_KERNELS_CHOICE.write_text(f"{port} {port}")
    try:
        yield
    finally:
        PORTS_OF_THE_KERNELS_CHOICE.write_text(usual)


@redirected
@on_stage
async def test_a_port_of_the_kernels_choice_may_be_one_that_the_desktop_has(stage: Stage) -> None:
    stage.open(V4)
    with only_port(PORT):
        assert await stage.container.tell("serve", "server", "127.0.0.1", 0) == PORT
    await stage.container.tell("hold", "client", "127.0.0.1", PORT)
    await stage.container.tell("answer", "server")
    assert await stage.container.tell("hear", "client") == "machine"
    await stage.container.tell("release", "server")
    heard, *_ = await stage.container.tell("tcp", "127.0.0.1", PORT)
    assert heard.startswith(f"127.0.0.1 {PORT} "), "it leads to the desktop again"


@redirected
@on_stage
async def test_a_v6_only_bind_to_all_addresses_counts_for_both_families(stage: Stage) -> None:
    for kind in ("tcp", "udp"):
        stage.open(StubKey("127.0.0.1", PORT, kind))
        assert await stage.container.error_of("bind", "::", PORT, kind, V6_ONLY) == "EADDRINUSE"
        assert await stage.container.error_of("bind", "::1", PORT, kind, V6_ONLY) == ""


@redirected
@on_stage
async def test_a_multipath_bind_to_what_the_desktop_has_is_refused(stage: Stage) -> None:
    if error := await stage.container.error_of("mptcp_bind", "127.0.0.1", PORT):
        pytest.skip(f"no multipath TCP here: {error}")
    stage.open(V4, V6)
    for address in ("127.0.0.1", "0.0.0.0", "::1", "::"):
        assert await stage.container.error_of("mptcp_bind", address, PORT) == "EADDRINUSE"
    assert await stage.outsider.error_of("mptcp_bind", "0.0.0.0", PORT) == ""


@private_network
def test_a_kernel_that_is_too_old_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_bpf()
    program = PROGRAMS["samehost_guard4"]
    unknown = struct.pack("<BBhi", 0x85, 0, 0, 9999)  # a helper that no kernel has
    broken = program._replace(code=unknown + program.code[8:])
    monkeypatch.setitem(PROGRAMS, "samehost_guard4", broken)
    before = os.listdir("/proc/self/fd")
    with new_cgroup() as cgroup, pytest.raises(BpfError, match=r"older than Linux 5\.18"):
        Redirection(str(cgroup), 1)
    assert os.listdir("/proc/self/fd") == before
