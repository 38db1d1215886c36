"""A real sshd(8) of the tests' own: keys, users, configuration and known hosts are its own, too.

    this computer ── 127.0.0.1 ──▶ sshd        in a mount namespace with users of its own
    this computer ── the cable ──▶ sshd        the same, inside a sandbox

Users: `root`; `admin`, who may become root by sudo without a password; `person`, who may not. All
log in with `user_key`, and have an empty folder for a home.

Counterparts: `test_ssh.py`, `tests/contract/test_shells.py`; `scripts/setup ssh`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from desktop.machines.bootstrap import PYTHONS
from desktop.machines.ssh_destination import SshDestination
from tests.integration.conftest import require_root
from tests.integration.samehost import quiet_ports, until

__all__ = ["LOCAL", "SshServer", "replaced_engines", "replaced_pythons", "ssh_server"]

LOCAL: Final = "127.0.0.1"
UNPACKED: Final = Path(__file__).parents[2] / "build/ssh-server"
"""Where `scripts/setup ssh` puts what is not installed."""
SERVERS_PATH: Final = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
"""Of programs that sshd runs, for root (sshd's own default, and more)."""
END_SECONDS: Final = 10
USERS: Final = {"root": 0, "admin": 20002, "person": 20001}

ROOM: Final = """
cd "$1"; shift
[ "$1" = keep-run ] || mount -t tmpfs -o mode=755 tmpfs /run
shift
mkdir -p -m 755 /run/sshd
while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 1; shift 2; done
shift
exec "$@"
"""
"""In a mount namespace of its own: what users, files and folders sshd and its log-ins see."""


@dataclass
class SshServer:
    """One that runs.

    Attributes:
        folder: where all its files are.
        log: what it says.
        bin: a folder for PATH, with an `ssh` that knows this server's keys and nothing else.
    """

    address: str
    port: int
    folder: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def config(self) -> Path:
        """The client's configuration."""
        return self.folder / "client_config"

    @property
    def known_hosts(self) -> Path:
        """The file with its host key."""
        return self.folder / "known_hosts"

    @property
    def bin(self) -> Path:
        """See the class."""
        return self.folder / "bin"

    @property
    def log(self) -> str:
        """See the class."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The process that all log-ins come of, or what brought it into a machine."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def name(self, user: str = "root") -> str:
        """Of the machine that it is."""
        return f"ssh:{user}@{self.address}:{self.port}"

    def destination(self, user: str = "root") -> SshDestination:
        """The way to it."""
        return SshDestination(self.address, user, self.port, str(self.config))

    def home(self, user: str = "root") -> Path:
        """A user's home."""
        return self.folder / "home" / user

    def add_to_path(self, environment: dict[str, str]) -> None:
        """Let programs with this environment reach it by `ssh`."""
        environment["PATH"] = f"{self.bin}:{environment['PATH']}"

    def change_host_key(self) -> None:
        """Make another one, which the server shows from its next start on."""
        (self.folder / "host_key").unlink()
        _make_key(self.folder / "host_key")

    def start(self, argv: Sequence[str]) -> None:
        """Run it, and wait until it listens."""
        with (self.folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment()
            )
        process = self._process
        until(lambda: "Server listening" in self.log or process.poll() is not None, "sshd")
        assert process.poll() is None, self.log

    def stop(self) -> None:
        """End the server; connections live on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(END_SECONDS)
            self._process = None


@contextlib.contextmanager
def ssh_server(
    address: str = LOCAL,
    *,
    inside: Sequence[str] = (),
    options: str = "",
    replaced: Mapping[str, str] | None = None,
) -> Iterator[SshServer]:
    """One that runs at `address`: on this computer, or by `inside`, which enters a machine.

    `options` are lines of sshd_config(5) that come first. `replaced` are programs that its log-ins
    see other than they are, by their paths, as text.
    """
    require_root()
    program = _program()
    folder = Path(tempfile.mkdtemp(prefix="sshd-"))
    folder.chmod(0o755)
    server = SshServer(address, quiet_ports(1), folder)
    try:
        _write_files(server, options)
        binds = _binds(folder, replaced or {})
        run = "keep-run" if inside else "own-run"
        room = ["unshare", "--mount", "sh", "-c", ROOM, "sh", str(folder), run, *binds, "--"]
        server.start([*inside, *room, program, "-D", "-e", "-f", str(folder / "sshd_config")])
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def replaced_pythons(text: str) -> dict[str, str]:
    """Every Python that a log-in may find, replaced by such a program."""
    found = (shutil.which(name, path=SERVERS_PATH) for name in PYTHONS)
    return {os.path.realpath(path): text for path in found if path}


def replaced_engines() -> dict[str, str]:
    """Every container engine of this computer's that a log-in may find, replaced by none."""
    found = (shutil.which(name, path=SERVERS_PATH) for name in ("docker", "podman", "nerdctl"))
    return {os.path.realpath(path): "#!/bin/sh\nexit 127\n" for path in found if path}


def _environment() -> dict[str, str]:
    libraries = UNPACKED / "usr/lib/x86_64-linux-gnu"
    return {"PATH": SERVERS_PATH, "LD_LIBRARY_PATH": str(libraries)}


def _program() -> str:
    path = f"{SERVERS_PATH}:{UNPACKED / 'usr/sbin'}"
    program = shutil.which("sshd", path=path)
    if program is None or shutil.which("ssh") is None:
        pytest.skip("needs an OpenSSH server and client: scripts/setup ssh")
    return program


def _make_key(path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def _write_files(server: SshServer, options: str) -> None:
    folder = server.folder
    for key in ("host_key", "user_key"):
        _make_key(folder / key)
    (folder / "sshd_config").write_text(
        f"""{options}
ListenAddress {server.address}:{server.port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""
    )
    _write_users(server)
    key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    server.known_hosts.write_text(f"[{server.address}]:{server.port} {key}\n")
    server.config.write_text(
        f"""Host *
    IdentityFile {folder}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {server.known_hosts}
    GlobalKnownHostsFile /dev/null
"""
    )
    server.bin.mkdir()
    client = server.bin / "ssh"
    client.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {server.config} "$@"\n')
    client.chmod(0o755)


def _write_users(server: SshServer) -> None:
    lines = [line for line in Path("/etc/passwd").read_text().splitlines() if line]
    others = [line for line in lines if line.split(":")[0] not in {*USERS, "sshd"}]
    ours = ["sshd:*:65533:65534::/run/sshd:/bin/false"]
    for user, number in USERS.items():
        server.home(user).mkdir(parents=True)
        os.chown(server.home(user), number, number)
        ours.append(f"{user}:*:{number}:{number}::{server.home(user)}:/bin/bash")
    (server.folder / "passwd").write_text("\n".join([*ours, *others, ""]))
    (server.folder / "sudoers").write_text("root ALL=(ALL) ALL\nadmin ALL=(root) NOPASSWD: ALL\n")
    (server.folder / "sudoers").chmod(0o440)


def _binds(folder: Path, replaced: Mapping[str, str]) -> list[str]:
    """Pairs of a file and where log-ins see it."""
    binds = ["passwd", "/etc/passwd"]
    if Path("/etc/sudoers").exists():
        binds += ["sudoers", "/etc/sudoers"]
    for number, (path, text) in enumerate(replaced.items()):
        program = folder / f"replaced-{number}"
        program.write_text(text)
        program.chmod(0o755)
        binds += [program.name, path]
    return binds
