"""What may stand between a desktop and the agent of an SSH server: each told apart, with a remedy.

The servers are on this computer's loopback, so the agent that starts is one of this computer.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from desktop.machines.launch import AgentStartError
from desktop.machines.openssh import OpenSshShell
from desktop.machines.remote import RemoteMachine
from desktop.machines.shell import ShellError, ShellTrouble
from desktop.machines.ssh_destination import SshDestination
from desktop.transports.probe import probe
from link.outcome import Outcome
from tests.integration.samehost import quiet_ports
from tests.integration.ssh_server import SshServer, replaced_engines, replaced_pythons, ssh_server

NO_FORWARDS = "AllowTcpForwarding no\nAllowStreamLocalForwarding no"
NO_PYTHON = "#!/bin/sh\nexit 127\n"
OLD_PYTHON = "#!/bin/sh\nexit 82\n"


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    """One that allows everything."""
    with ssh_server() as server:
        yield server


def attach(
    destination: SshDestination, story: Callable[[RemoteMachine], Awaitable[None]] | None = None
) -> str:
    """Log in, start an agent, hear from it, end it: the name of the transport. Nothing is left."""

    async def body(folder: Path) -> str:
        shell = OpenSshShell(destination, folder)
        machine = RemoteMachine("machine", "ssh", shell, "", may_use_ebpf=False)
        try:
            async with asyncio.timeout(60):
                await machine.start(lambda _line: None)
                handle = await machine.start_agent(os.urandom(32))
                await probe(handle.transport)
                if story is not None:
                    await story(machine)
                await handle.transport.aclose()
                handle.process.end_input()
                assert await handle.process.wait() == 0
                return handle.transport.name
        finally:
            await machine.aclose()

    with tempfile.TemporaryDirectory(prefix="sh-") as folder:
        try:
            return asyncio.run(body(Path(folder)))
        finally:
            assert list(Path(folder).iterdir()) == []


def trouble_of(destination: SshDestination) -> ShellError:
    with pytest.raises(ShellError) as caught:
        attach(destination)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("user", ["root", "admin"])
def test_root_and_whoever_may_become_root_get_an_agent(server: SshServer, user: str) -> None:
    assert attach(server.destination(user)) == "openssh"


def test_without_a_way_to_become_root_the_remedy_is_said(server: SshServer) -> None:
    with pytest.raises(AgentStartError) as caught:
        attach(server.destination("person"))
    assert caught.value.outcome is Outcome.NO_PERMISSION
    assert "NOPASSWD" in caught.value.remedy
    assert caught.value.is_lasting


@pytest.mark.parametrize(
    ("options", "transport"),
    [
        ("AllowStreamLocalForwarding no", "openssh"),
        ("AllowTcpForwarding no", "stdio"),
        (NO_FORWARDS, "stdio"),
        ("DisableForwarding yes", "stdio"),
    ],
)
def test_a_server_that_forbids_a_way_gets_the_next_one(options: str, transport: str) -> None:
    with ssh_server(options=options) as server:
        assert attach(server.destination()) == transport


@pytest.mark.parametrize(
    ("python", "outcome"),
    [(NO_PYTHON, Outcome.NO_PYTHON), (OLD_PYTHON, Outcome.OLD_PYTHON)],
    ids=["none", "old"],
)
def test_a_machine_without_a_python_that_will_do_is_told_what_to_install(
    python: str, outcome: Outcome
) -> None:
    replaced = replaced_pythons(python) | replaced_engines()
    with ssh_server(replaced=replaced) as server:
        with pytest.raises(AgentStartError) as caught:
            attach(server.destination())
    assert caught.value.outcome is outcome
    assert "or, for a helper container" in caught.value.remedy
    assert "install Python 3.9" in caught.value.remedy


def test_words_of_a_log_in_are_no_answer(server: SshServer) -> None:
    profile = server.home() / ".bashrc"
    profile.write_text("echo 'Welcome!'; echo '{\"ready\": 1}'; echo 'to stderr' >&2\n")
    try:
        assert attach(server.destination()) == "openssh"
    finally:
        profile.unlink()


def test_a_log_in_that_eats_its_input_is_noticed(server: SshServer) -> None:
    profile = server.home() / ".bashrc"
    eat = "dd bs=1 count=100 of=/dev/null"
    profile.write_text(f"case $BASH_EXECUTION_STRING in *samehost-agent*) {eat};; esac\n")
    try:
        with pytest.raises(AgentStartError) as caught:
            attach(server.destination())
        assert caught.value.outcome is Outcome.DAMAGED
    finally:
        profile.unlink()


def test_a_log_in_that_runs_nothing_says_so() -> None:
    with ssh_server(options="ForceCommand echo 'This account is not for you.'") as server:
        error = trouble_of(server.destination())
    assert error.trouble is ShellTrouble.REFUSED
    assert "not for you" in error.message
    assert "ForceCommand" in error.remedy


def test_an_unknown_host_key_is_refused_with_how_to_check_it(server: SshServer) -> None:
    known = server.known_hosts.read_text()
    server.known_hosts.write_text("")
    try:
        error = trouble_of(server.destination())
        assert server.known_hosts.read_text() == "", "nothing was accepted"
    finally:
        server.known_hosts.write_text(known)
    assert error.trouble is ShellTrouble.UNKNOWN_HOST_KEY
    assert f"ssh-keyscan -p {server.port} {server.address} >> {server.known_hosts}" in error.remedy
    assert error.is_lasting


def test_a_changed_host_key_is_refused_with_how_to_forget_the_old_one(server: SshServer) -> None:
    known = server.known_hosts.read_text()
    place = known.split()[0]
    other = (server.folder / "user_key.pub").read_text().split()[:2]
    server.known_hosts.write_text(" ".join([place, *other]) + "\n")
    try:
        error = trouble_of(server.destination())
    finally:
        server.known_hosts.write_text(known)
    assert error.trouble is ShellTrouble.HOST_KEY_CHANGED
    assert "ssh-keygen -f" in error.remedy
    assert f"[{server.address}]:{server.port}" in error.remedy


def test_a_key_that_is_not_accepted_is_no_fault_of_the_network(server: SshServer) -> None:
    error = trouble_of(server.destination("stranger"))
    assert error.trouble is ShellTrouble.AUTHENTICATION_FAILED
    assert "ssh-copy-id" in error.remedy


def test_nobody_listening_and_no_such_name_are_told_apart(server: SshServer) -> None:
    nobody = replace(server.destination(), port=quiet_ports(1))
    assert trouble_of(nobody).trouble is ShellTrouble.REFUSED
    nowhere = replace(server.destination(), host="no-such-host.invalid")
    assert trouble_of(nowhere).trouble is ShellTrouble.UNREACHABLE


def test_a_configuration_that_cannot_be_read_is_named(server: SshServer, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("NoSuchOption yes\n")
    error = trouble_of(replace(server.destination(), config=str(tmp_path / "config")))
    assert "nosuchoption" in error.message.lower()


def test_a_persons_own_configuration_counts_and_what_would_disturb_does_not(
    server: SshServer, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    taken = quiet_ports(1)
    config.write_text(
        f"""
Host box
    HostName {server.address}
    Port {server.port}
    User root
    RemoteCommand echo disturbs
    RequestTTY force
    LocalForward {taken} 127.0.0.1:9
    ControlMaster auto
    ControlPath {tmp_path}/theirs
    ControlPersist yes
    ForkAfterAuthentication yes
    StdinNull yes
    SessionType none
    LogLevel QUIET
    Ciphers aes256-ctr
{server.config.read_text()}
"""
    )

    async def look(machine: RemoteMachine) -> None:
        assert not (tmp_path / "theirs").exists()
        done = await machine.shell.run("echo $SSH_CONNECTION; id -un")
        assert done.output.decode().split()[3:] == [str(server.port), "root"]
        assert machine.own_ports == {("tcp", server.port)}

    assert attach(SshDestination("box", config=str(config)), look) == "openssh"


def test_a_machine_behind_another_is_reached_through_it(server: SshServer, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"""
Host behind
    HostName {server.address}
    Port {server.port}
    ProxyCommand {server.bin}/ssh -p {server.port} -l person -W %h:%p {server.address}
{server.config.read_text()}
"""
    )

    async def look(machine: RemoteMachine) -> None:
        assert machine.own_ports == frozenset()

    assert attach(SshDestination("behind", "root", config=str(config)), look) == "openssh"


def test_the_agent_is_nowhere_on_the_machines_disk(server: SshServer) -> None:
    async def look(machine: RemoteMachine) -> None:
        script = "for p in $(pgrep -f samehost-agent$); do ls -l /proc/$p/fd | grep memfd; done"
        assert b"memfd:samehost-agent (deleted)" in (await machine.shell.run(script)).output

    attach(server.destination(), look)
