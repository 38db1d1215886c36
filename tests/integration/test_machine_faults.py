"""A machine that stands still, and an engine that begins anew before anybody mirrors it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest

from desktop.daemon.attachment import REATTACH_SECONDS
from desktop.daemon.link import HANDSHAKE_SECONDS
from link.session import LEASE_SECONDS
from tests.effort import EFFORT
from tests.integration.engines import Inside, SecondDocker
from tests.integration.injured import (
    cpu_seconds,
    echo,
    echoing,
    listeners_here,
    mirrored,
    say,
)
from tests.integration.injured import standing_still as stand_still
from tests.integration.runtimes_stage import serving
from tests.integration.samehost import Samehost, quiet_ports, running_samehost, says, until
from tests.integration.servers import ECHO

PAUSE_SECONDS = (LEASE_SECONDS + REATTACH_SECONDS + 2 * HANDSHAKE_SECONDS) * EFFORT
"""Longer than a daemon waits for a silent agent whose machine runs: it looks after each try, which
takes a handshake's time at most."""
BUSY = 0.5
"""Share of one processor that is too much for a daemon that looks for its machine: a loop that
never rests takes all of it. Looks at this computer, where others' ports come and go, take some."""
BACK_SECONDS = 10.0
"""From the machine's going on until its mirrors are there: a look that was under way may end in
vain, and the next comes 5 s later at the latest; and the computer may be busy."""
TOLD_SECONDS = 9.0
"""The lease is 5 s."""

pytestmark = pytest.mark.timeout(120 + PAUSE_SECONDS)


@pytest.fixture(scope="module")
def samehost() -> Iterator[Samehost]:
    """One that runs."""
    with running_samehost() as samehost:
        yield samehost


def test_a_machine_that_stood_still_is_linked_again_with_its_flows_and_nothing_is_there_twice(
    samehost: Samehost, capsys: pytest.CaptureFixture[str]
) -> None:
    port = quiet_ports(1)
    with mirrored(samehost, ECHO, port):
        agent, daemon = samehost.agent(), samehost.daemon()
        with echoing(port) as client:
            before = cpu_seconds(daemon)
            with stand_still(samehost):
                begin = time.monotonic()
                until(lambda: samehost.states(port) == ["paused"], "the loss to be told")
                told = time.monotonic() - begin
                client.sendall(b"said meanwhile")
                until(lambda: listeners_here(port) == 0, "the mirror to close", 15)
                time.sleep(max(0.0, begin + PAUSE_SECONDS - time.monotonic()))
                stood = time.monotonic() - begin
                busy = (cpu_seconds(daemon) - before) / stood
            begin = time.monotonic()
            until(lambda: samehost.states(port) == ["active"], "the mirror to return")
            back = time.monotonic() - begin
            assert client.recv(100) == b"said meanwhile"
            assert echo(client, b"after") == b"after"
        assert listeners_here(port) == 1
        assert (samehost.agent(), samehost.daemon()) == (agent, daemon)
        with echoing(port):
            begin, before = time.monotonic(), cpu_seconds(daemon) + cpu_seconds(agent)
            time.sleep(2)
            used = cpu_seconds(daemon) + cpu_seconds(agent) - before
            after = used / (time.monotonic() - begin)
    say(
        capsys,
        f"stood still for {stood:.0f} s: told after {told:.1f} s, back after {back:.2f} s, "
        f"{busy:.1%} of a processor meanwhile, {after:.1%} afterwards",
    )
    assert told < TOLD_SECONDS
    assert back < BACK_SECONDS
    assert busy < BUSY
    assert after < BUSY


@pytest.fixture(scope="module")
def engine(samehost: Samehost) -> Iterator[SecondDocker]:
    """An engine in the machine that can be killed: the first is the machine's own process 1."""
    engine = SecondDocker(Inside(samehost))
    engine.start()
    engine.load_image()
    yield engine
    with contextlib.suppress(AssertionError):  # one that does not run
        engine.stop("TERM")


def test_a_container_that_its_killed_engine_began_again_before_there_was_an_agent_is_mirrored(
    samehost: Samehost, engine: SecondDocker
) -> None:
    """docker/for-mac#7683."""
    port = quiet_ports(1)
    with engine.container(*serving(port)) as identity:
        until(lambda: says(port) == b"hello\n", "the mirror")
        os.kill(samehost.daemon(), signal.SIGKILL)
        until(lambda: samehost.agent_if_any() is None, "the agent's end")
        engine.stop("KILL")
        engine.start()
        inside = ("socat", "-u", f"TCP:127.0.0.1:{port}", "-")
        until(lambda: _said(engine, *inside) == "hello", "it to listen")
        began = engine.docker("inspect", "-f", "{{.State.StartedAt}}", identity)
        samehost.run("up")
        until(lambda: says(port) == b"hello\n", "the mirror")
        assert samehost.states(port) == ["active"]
        assert samehost.rows(port)[0]["container"]["id"] == identity
        assert engine.docker("inspect", "-f", "{{.State.StartedAt}}", identity) == began


def _said(engine: SecondDocker, *argv: str) -> str:
    try:
        return engine._inside.run(*argv)
    except AssertionError:
        return ""


def test_an_engine_that_is_killed_and_begins_again_brings_its_mirrors_back(
    samehost: Samehost, engine: SecondDocker
) -> None:
    port = quiet_ports(1)
    agent = samehost.agent()
    with engine.container(*serving(port)) as identity:
        until(lambda: says(port) == b"hello\n", "the mirror")
        engine.stop("KILL")
        engine.start()
        until(lambda: says(port) == b"hello\n", "the mirror")
        until(lambda: samehost.states(port) == ["active"], "its row")
        assert samehost.rows(port)[0]["container"]["id"] == identity
        assert engine.docker("inspect", "-f", "{{.State.Running}}", identity) == "true"
    assert samehost.agent() == agent
