"""What `ssh:user@host:port` means."""

from __future__ import annotations

import pytest

from desktop.errors import UsageError
from desktop.machines.ssh_destination import SshDestination


@pytest.mark.parametrize(
    ("text", "host", "user", "port"),
    [
        ("box", "box", "", 0),
        ("me@box", "box", "me", 0),
        ("me@box.example.org:2222", "box.example.org", "me", 2222),
        ("box:22", "box", "", 22),
        ("me@192.0.2.7:22", "192.0.2.7", "me", 22),
        ("[::1]", "::1", "", 0),
        ("me@[fe80::1%eth0]:2222", "fe80::1%eth0", "me", 2222),
        ("first.last@my_box-2", "my_box-2", "first.last", 0),
        ("domain\\me@box", "box", "domain\\me", 0),
    ],
)
def test_a_destination_is_read_and_written(text: str, host: str, user: str, port: int) -> None:
    destination = SshDestination.parse(text)
    assert destination == SshDestination(host, user, port)
    assert str(destination) == text
    assert destination.docker_host == f"ssh://{text}"


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "me@", ":22", "box:", "box:0", "box:65536", "box:x", "me@you@box", "a b", "::1"),
        *("-oProxyCommand=x", "me@-box", "-me@box", "box/path", "[::1", "box\n", "bo\0x", "$(id)"),
    ],
)
def test_what_is_none_is_refused_with_its_form(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        SshDestination.parse(text)
    assert "user@host" in caught.value.remedy


def test_a_destination_becomes_arguments_of_ssh() -> None:
    assert SshDestination("box").arguments == []
    assert SshDestination("box", "me", 2222).arguments == ["-l", "me", "-p", "2222"]
    given = SshDestination("box", config="/file", identity="/key")
    assert given.arguments == ["-F", "/file", "-i", "/key", "-o", "IdentitiesOnly=yes"]


def test_only_a_machine_of_this_computer_may_have_any_key() -> None:
    assert not any("StrictHostKey" in word for word in SshDestination("box").arguments)
    assert "StrictHostKeyChecking=no" in SshDestination("box", is_own=True).arguments
