"""What known_hosts files say of a server's key."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from desktop.machines.known_hosts import Judgement, KnownHosts, host_name

KIND = "ssh-ed25519"
KEY, OTHER = b"\x00\x00\x00\x0bssh-ed25519 key", b"\x00\x00\x00\x0bssh-ed25519 other"


def line(names: str, key: bytes = KEY, marker: str = "", kind: str = KIND) -> str:
    return f"{marker} {names} {kind} {base64.b64encode(key).decode()} a comment\n"


@pytest.mark.parametrize(
    ("names", "server", "judgement"),
    [
        ("box", ("box", 22), Judgement.KNOWN),
        ("box,10.0.0.1", ("10.0.0.1", 22), Judgement.KNOWN),
        ("box", ("BOX", 22), Judgement.KNOWN),
        ("[box]:2222", ("box", 2222), Judgement.KNOWN),
        ("box", ("box", 2222), Judgement.UNKNOWN),
        ("[box]:2222", ("box", 22), Judgement.UNKNOWN),
        ("[b]:2222", ("box", 2222), Judgement.UNKNOWN),
        ("*.lan", ("box.lan", 22), Judgement.KNOWN),
        ("bo?", ("box", 22), Judgement.KNOWN),
        ("[*.lan]:2222", ("box.lan", 2222), Judgement.KNOWN),
        ("*.lan,!box.lan", ("box.lan", 22), Judgement.UNKNOWN),
        ("!box.lan,*.lan", ("hut.lan", 22), Judgement.KNOWN),
        ("::1", ("::1", 22), Judgement.KNOWN),
        ("[::1]:2222", ("::1", 2222), Judgement.KNOWN),
    ],
)
def test_a_line_speaks_of_the_servers_that_its_names_fit(
    names: str, server: tuple[str, int], judgement: Judgement
) -> None:
    assert KnownHosts([line(names)]).judge(host_name(*server), KIND, KEY) is judgement


def test_another_key_than_those_known_has_changed() -> None:
    known = KnownHosts([line("box"), line("box", OTHER)])
    assert known.judge("box", KIND, OTHER) is Judgement.KNOWN
    assert known.judge("box", KIND, b"a third") is Judgement.CHANGED


def test_a_first_key_of_a_kind_is_unknown_and_has_not_changed() -> None:
    assert KnownHosts([line("box")]).judge("box", "ssh-rsa", OTHER) is Judgement.UNKNOWN


def test_a_revoked_key_is_refused_whatever_else_is_known() -> None:
    known = KnownHosts([line("box"), line("*", marker="@revoked")])
    assert known.judge("box", KIND, KEY) is Judgement.REVOKED
    assert known.judge("box", KIND, OTHER) is Judgement.CHANGED


def test_a_key_of_an_authority_is_not_a_hosts_key() -> None:
    known = KnownHosts([line("*", marker="@cert-authority")])
    assert known.judge("box", KIND, KEY) is Judgement.UNKNOWN
    assert known.kinds("box") == []


def test_lines_that_are_not_understood_say_nothing() -> None:
    nonsense = [
        "",
        "box ssh-ed25519 Ä",
        "# box ssh-ed25519 AAAA",
        "box",
        "box ssh-ed25519",
        "box ssh-ed25519 %%%",
    ]
    nonsense += ["|1|x ssh-ed25519 AAAA", "|1|=|= ssh-ed25519 AAAA", "@revoked", "@revoked box"]
    known = KnownHosts([*nonsense, line("box")])
    assert known.judge("box", KIND, KEY) is Judgement.KNOWN
    assert known.judge("hut", KIND, KEY) is Judgement.UNKNOWN


def test_a_server_is_asked_for_the_kinds_of_keys_that_are_known_of_it() -> None:
    lines = [line("box", kind="ssh-rsa"), line("hut"), line("box"), line("box", OTHER)]
    assert KnownHosts(lines).kinds("box") == ["ssh-rsa", "ssh-ed25519"]


def test_hashed_names_are_those_that_ssh_keygen_makes(tmp_path: Path) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("needs ssh-keygen, of openssh-client")
    key, file = tmp_path / "key", tmp_path / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    kind, text, *_ = key.with_suffix(".pub").read_text().split()
    file.write_text(f"box {kind} {text}\n[hut]:2222 {kind} {text}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    lines = file.read_text().splitlines()
    assert not any("box" in each for each in lines)
    known = KnownHosts(lines)
    assert known.judge("box", kind, base64.b64decode(text)) is Judgement.KNOWN
    assert known.judge(host_name("hut", 2222), kind, base64.b64decode(text)) is Judgement.KNOWN
    assert known.judge("hut", kind, base64.b64decode(text)) is Judgement.UNKNOWN
