"""Choosing the source of listeners, and what happens where there is none."""

from __future__ import annotations

import contextlib
import socket

import pytest

from desktop.errors import SamehostError
from desktop.listeners import linux
from desktop.listeners.linux import LinuxListenerSource
from desktop.listeners.select import open_listener_source
from link import sockdiag_wire
from link.sockdiag import SockDiagError
from tests.capabilities import LINUX_KERNEL, needs
from tests.private_network import private_network


@needs(LINUX_KERNEL)
def test_linux_has_a_source() -> None:
    source = open_listener_source("linux")
    assert isinstance(source, LinuxListenerSource)
    source.close()


def test_a_system_without_a_source_is_told_what_still_works() -> None:
    with pytest.raises(SamehostError, match="plan9") as caught:
        open_listener_source("plan9")
    assert "reachHost" in caught.value.remedy


def test_a_kernel_that_refuses_is_told_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise SockDiagError(2, "no tcp_diag")

    monkeypatch.setattr(linux, "SockDiag", refuse)
    with pytest.raises(SamehostError, match="no tcp_diag") as caught:
        open_listener_source("linux")
    assert caught.value.remedy


@private_network
def test_a_kernel_that_does_not_tell_of_udp_tells_of_tcp_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # The kernel knows no such protocol as 200, as one without udp_diag does not know 17.
    monkeypatch.setitem(sockdiag_wire._ASKED, "udp", (200, sockdiag_wire.TCP_CLOSE))
    source = LinuxListenerSource()
    with socket.create_server(("127.0.0.1", 8000)), contextlib.closing(source):
        for _ in range(3):
            assert [each.protocol for each in source.scan(frozenset())] == ["tcp"]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "load the module udp_diag" in record.getMessage()
    assert "CONFIG_INET_UDP_DIAG" in record.getMessage()


@private_network
def test_without_events_a_source_still_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise SockDiagError(1, "not permitted")

    monkeypatch.setattr(linux, "DestroyEvents", refuse)
    source = LinuxListenerSource()
    assert source.wakeup_fileno() is None
    assert not source.drain()
    assert source.scan(frozenset()) == source.scan(frozenset())
    source.close()
