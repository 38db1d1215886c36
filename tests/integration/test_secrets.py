"""No secret is where it could be read: arguments, environments, files, logs, crash output, reports.

The link's secret, a key's passphrase and a password go through a whole run: an SSH server is
reached without OpenSSH's client, where the daemon itself handles what the person types. The
daemon's memory is looked at, too, which shows that what is looked for was there to be found.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from desktop.api.client import ApiClient, Ask
from desktop.errors import SamehostError
from tests.integration.conftest import SandboxHome
from tests.integration.known_secret_daemon import SECRET
from tests.integration.samehost import until
from tests.integration.ssh_server import SshServer, ssh_server
from tests.integration.ssh_stage import PID_FOLLOWS, SshSamehost

PASSPHRASE = "open-sesame-8472-passphrase"
PASSWORD = "correct-horse-3951-password"
CRASH = "Fatal Python error: Aborted"
LARGEST_FILE = 64 << 20


def spellings() -> dict[str, bytes]:
    """Every form in which a secret might be written."""
    found = {"the link's, as it is": SECRET}
    for name, secret in (
        ("the link's", SECRET),
        ("the passphrase", PASSPHRASE.encode()),
        ("the password", PASSWORD.encode()),
    ):
        found[f"{name} in hexadecimal"] = secret.hex().encode()
        found[f"{name} in capital hexadecimal"] = secret.hex().upper().encode()
        found[f"{name} in base64"] = base64.b64encode(secret).rstrip(b"=")[:-1]
        found[f"{name} in base64 of URLs"] = base64.urlsafe_b64encode(secret).rstrip(b"=")[:-1]
    found["the passphrase"] = PASSPHRASE.encode()
    found["the password"] = PASSWORD.encode()
    return found


def secrets_in(data: bytes) -> list[str]:
    return [name for name, spelling in spellings().items() if spelling in data]


def read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE)
    except OSError:
        return b""  # a process that has ended, or a socket


@pytest.fixture
def samehost(sandbox_home: SandboxHome) -> Iterator[SshSamehost]:
    """One without OpenSSH's client, whose key has a passphrase; its daemon is not started yet."""
    machine, _here = sandbox_home.sandbox.addresses()
    inside = sandbox_home.sandbox.command(*PID_FOLLOWS)
    with ssh_server(machine, options="PasswordAuthentication yes", inside=inside) as server:
        one = SshSamehost(sandbox_home, server)
        try:
            furnish(one, server)
            yield one
        finally:
            one.remove()


def furnish(samehost: SshSamehost, server: SshServer) -> None:
    folder = samehost.home / ".ssh"
    folder.mkdir(mode=0o700)
    key = folder / "key"
    key.write_bytes((server.folder / "user_key").read_bytes())
    key.chmod(0o600)
    words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", str(key)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    (folder / "config").write_text(
        f"Host *\nIdentityFile {key}\nUserKnownHostsFile {server.known_hosts}\n"
    )
    (samehost.home / "settings.json").write_text('{"hostNetworkingEnabled": true}')
    samehost.environment |= {
        "HOME": str(samehost.home),
        "PATH": str(samehost.home),
        "PYTHONFAULTHANDLER": "1",
    }
    samehost.environment.pop("SSH_AUTH_SOCK", None)


def person(asked: list[str]) -> Ask:
    """Who types what is asked for."""

    def answer(question: str, is_secret: bool) -> str | None:
        assert is_secret
        asked.append(question)
        return PASSPHRASE if "passphrase" in question.lower() else PASSWORD

    return answer


def attach(samehost: SshSamehost) -> list[str]:
    """Attach by the key with its passphrase, and fail to attach by the password."""
    asked: list[str] = []
    with ApiClient.connect(samehost.paths.api_socket) as client:
        answer = person(asked)
        client.call("attach", {"machine": samehost.machine}, None, answer)
        stranger = samehost.server.name("stranger")
        with pytest.raises(SamehostError):
            client.call("attach_also", {"name": stranger}, None, answer)
    return asked


def test_no_secret_can_be_read_anywhere(samehost: SshSamehost) -> None:
    crash = samehost.home / "logs" / "crash.txt"
    crash.parent.mkdir(mode=0o700)
    with crash.open("wb") as output:
        samehost.start_daemon("tests.integration.known_secret_daemon", output)
    asked = " ".join(attach(samehost)).lower()
    assert "passphrase" in asked
    assert "password" in asked
    daemon, (agent,) = samehost.daemon(), samehost.agents()
    assert "the link's, as it is" in secrets_in(memory_of(daemon)), "nothing was to be found"

    assert leaks_of_processes() == []
    said = [samehost.try_run(*words) for words in (("doctor", "--json"), ("status", "--json"))]
    assert secrets_in("".join(each.stdout + each.stderr for each in said).encode()) == []
    report = samehost.home / "report.zip"
    samehost.run("doctor", "--bundle", str(report))
    with zipfile.ZipFile(report) as archive:
        for name in archive.namelist():
            assert secrets_in(archive.read(name)) == [], name

    os.kill(agent, signal.SIGABRT)
    until(lambda: samehost.agents() not in ([], [agent]), "another agent")
    assert leaks_of_processes() == []
    os.kill(daemon, signal.SIGABRT)
    until(lambda: not Path(f"/proc/{daemon}/exe").exists(), "the daemon's end")
    assert CRASH in crash.read_text()
    machine = Path(f"/proc/{samehost._sandbox.sandbox.pid}/root/run")
    assert leaks_of_files(samehost.home) + leaks_of_files(machine) == []


def leaks_of_processes() -> list[str]:
    """Whatever process of this computer shows a secret, and where."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            for place in ("cmdline", "environ", "comm"):
                found += [f"{entry / place}: {name}" for name in secrets_in(read(entry / place))]
    return found


def leaks_of_files(folder: Path) -> list[str]:
    """Whatever file below a folder has a secret in it, or in its name."""
    found = []
    # What goes meanwhile is no reason for os.walk to fail.
    inside = (Path(above, each) for above, *names in os.walk(folder) for each in chain(*names))
    for path in inside:
        data = read(path) if path.is_file() and not path.is_symlink() else b""
        found += [f"{path}: {name}" for name in secrets_in(os.fsencode(path) + b"\0" + data)]
    return found


def memory_of(pid: int) -> bytes:
    """What a process has in its own writable memory (proc(5))."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if match:
                begin, end = (int(word, 16) for word in match.groups())
                with contextlib.suppress(OSError):
                    memory.seek(begin)
                    parts.append(memory.read(end - begin))
    return b"".join(parts)
