"""The way to a server as a person's SSH configuration describes it."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from desktop.machines.shell import ShellError
from desktop.machines.ssh_config import Hop, way_to
from desktop.machines.ssh_destination import SshDestination

LIMA = """
Host lima-default
  IdentityFile "{home}/.lima/_config/user key"
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  NoHostAuthenticationForLocalhost yes
  BatchMode yes
  IdentitiesOnly yes
  Ciphers "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
  User me
  ControlMaster auto
  Hostname 127.0.0.1
  Port 60022
"""
"""As `limactl show-ssh --format=config` writes it (Lima 1.0)."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def way(home: Path, text: str, to: str = "box", computer: str = "") -> list[Hop]:
    (home / ".ssh/config").write_text(text)
    (home / "etc").mkdir(exist_ok=True)
    (home / "etc/ssh_config").write_text(computer)
    return way_to(SshDestination.parse(to), home=home, computer=home / "etc")


def test_without_a_configuration_it_is_the_usual(tmp_path: Path) -> None:
    (hop,) = way_to(SshDestination.parse("box"), home=tmp_path, computer=tmp_path / "etc")
    assert (hop.host, hop.port, hop.user) == ("box", 22, getpass.getuser())
    assert hop.identities == tuple(
        tmp_path / ".ssh" / name for name in ("id_rsa", "id_ecdsa", "id_ed25519")
    )
    assert not hop.has_named_identities
    assert hop.known_hosts[0] == tmp_path / ".ssh/known_hosts"
    assert hop.known_hosts[2] == tmp_path / "etc/ssh_known_hosts"


def test_the_persons_words_come_before_the_computers(home: Path) -> None:
    own = "Host box\n HostName 10.0.0.1\n Port 2222\n"
    (hop,) = way(home, own, computer="Port 22\nUser other\nHost *\n HostName wrong\n")
    assert (hop.host, hop.port, hop.user) == ("10.0.0.1", 2222, "other")


def test_what_the_destination_says_comes_first(home: Path) -> None:
    (hop,) = way(home, "User other\nPort 2222\n", "me@box:2200")
    assert (hop.user, hop.port) == ("me", 2200)


def test_a_file_that_is_given_is_read_instead_of_both(home: Path) -> None:
    way(home, "User other\n", computer="Port 2222\n")
    (home / "lima.config").write_text(LIMA.format(home=home))
    destination = SshDestination("lima-default", config=str(home / "lima.config"))
    (hop,) = way_to(destination, home=home, computer=home / "etc")
    assert (hop.host, hop.port, hop.user) == ("127.0.0.1", 60022, "me")
    assert hop.identities == (home / ".lima/_config/user key",)
    assert hop.only_those
    assert not hop.may_ask
    assert hop.trusts_any_key


def test_files_are_included_where_they_are_named(home: Path) -> None:
    (home / ".ssh/config.d").mkdir()
    (home / ".ssh/config.d/one").write_text("Host box\n Port 1001\n")
    (home / ".ssh/config.d/two").write_text("Host box\n Port 1002\n User two\n")
    text = "Host other\n Include nowhere config.d/*\n User wrong\nHost *\n User last\n"
    (hop,) = way(home, text)
    assert (hop.port, hop.user) == (1001, "two")


def test_a_file_that_includes_itself_is_told(home: Path) -> None:
    with pytest.raises(ShellError, match="includ") as caught:
        way(home, "Include config\n")
    assert "~/.ssh/config" in caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        *("Port many\n", "Host 'box\n", "Match nonsense\n", "ConnectTimeout soon\n", "Host\n"),
        *("Word\n", "UserKnownHostsFile ~nobody-at-all/x\n", "Include ~nobody-at-all/x\n"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_told(home: Path, text: str) -> None:
    with pytest.raises(ShellError, match="configuration cannot be used"):
        way(home, text)


def test_any_key_is_trusted_on_this_very_computer_only(home: Path) -> None:
    loose = "StrictHostKeyChecking no\n"
    assert way(home, loose, "127.0.0.1")[-1].trusts_any_key
    assert way(home, loose, "[::1]")[-1].trusts_any_key
    assert not way(home, loose, "10.0.0.1")[-1].trusts_any_key
    assert not way(home, "", "127.0.0.1")[-1].trusts_any_key
    assert not way(home, f"{loose}ProxyCommand nc 10.0.0.1 22\n", "127.0.0.1")[-1].trusts_any_key
    assert not way(home, f"{loose}Host 127.*\n ProxyJump far\n", "127.0.0.1")[-1].trusts_any_key


def test_a_machine_of_our_own_may_be_trusted_and_has_its_key(home: Path) -> None:
    destination = SshDestination("127.0.0.1", "core", 40000, identity="/keys/one", is_own=True)
    (hop,) = way_to(destination, home=home, computer=home)
    assert hop.trusts_any_key
    assert hop.only_those
    assert hop.identities == (Path("/keys/one"),)


def test_jumps_lead_there_one_after_the_other(home: Path) -> None:
    text = (
        "Host box\n ProxyJump a@gate:2200,ssh://inner\n User me\n"
        "Host gate\n HostName gate.example\n ProxyJump outer\n"
        "Host inner\n Port 2201\n ProxyJump ignored\n ProxyCommand ignored\n"
        "Host outer\n User o\n"
    )
    hops = way(home, text)
    assert [(hop.user, hop.host, hop.port) for hop in hops] == [
        ("o", "outer", 22),
        ("a", "gate.example", 2200),
        (getpass.getuser(), "inner", 2201),
        ("me", "box", 22),
    ]


def test_a_server_that_all_others_are_behind_is_not_behind_itself(home: Path) -> None:
    text = "Host *\n ProxyJump gate\n"
    assert [hop.host for hop in way(home, text)] == ["gate", "box"]
    assert [hop.host for hop in way(home, text, "gate")] == ["gate"]


def test_jumps_in_a_circle_are_told(home: Path) -> None:
    with pytest.raises(ShellError, match="jumps"):
        way(home, "Host box\n ProxyJump gate\nHost gate\n ProxyJump box\n")


def test_a_command_is_the_way_where_there_are_no_jumps(home: Path) -> None:
    (hop,) = way(home, "Host box\n ProxyCommand nc -X 5 %h %p\n Port 2222\n")
    assert hop.proxy_command == "nc -X 5 box 2222"
    assert not hop.is_here
    assert way(home, "ProxyCommand none\n")[0].proxy_command == ""


def test_ways_to_log_in_may_be_ruled_out(home: Path) -> None:
    (hop,) = way(home, "PasswordAuthentication no\nKbdInteractiveAuthentication no\n")
    assert hop.methods == {"publickey"}
    (hop,) = way(home, "IdentityAgent none\nIdentityFile none\n")
    assert not hop.uses_agent
    assert hop.identities == ()
