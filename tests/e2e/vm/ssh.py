"""Logging in to an emulated computer with OpenSSH's client: its configuration, and commands there.

The configuration is one as a person would have it: a name (`ALIAS`) and the address with the port
both lead to it, with the key, and with the host key known and checked.

Counterparts: `furnish` has let the key in; `machine` waits until somebody answers.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.e2e.vm.files import VmImage
from tests.e2e.vm.furnish import USER

__all__ = [
    "ALIAS",
    "HOST",
    "USER_ALIAS",
    "Commands",
    "SshError",
    "await_banner",
    "write_client",
    "write_config",
]

ALIAS: Final = "vm"
USER_ALIAS: Final = "vm-user"
"""Names in the configuration: root's log-in, and that of an ordinary user."""

HOST: Final = "127.0.0.1"

BANNER: Final = b"SSH-2.0"
"""RFC 4253, 4.2."""

BANNER_SECONDS: Final = (1.0, 16.0)
"""How long the first try waits, and the longest: a connection that was taken before sshd listened
may stay silent, and one that is given up too early has cost a slow sshd the time to answer it."""

LOGIN_SECONDS: Final = 120.0
COMMAND_SECONDS: Final = 300.0
POLL_SECONDS: Final = 0.02

CONFIG: Final = """\
Host {alias} {user_alias}
    HostName {host}
    Port {port}
Host {user_alias}
    User {user}
Host {alias}
    User root
Host {alias} {user_alias} {host}
    IdentityFile {key}
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    ConnectTimeout 30
"""


class SshError(Exception):
    """A command in the computer failed, or there was no logging in; the text has the words."""


def write_config(folder: Path, port: int, image: VmImage) -> Path:
    """Put a configuration into `folder`, for the computer at that port of HOST; its path."""
    (folder / "known_hosts").write_text(f"[{HOST}]:{port} {image.host_key_file.read_text()}")
    config = folder / "ssh_config"
    names = {"alias": ALIAS, "user_alias": USER_ALIAS, "user": USER, "host": HOST}
    config.write_text(CONFIG.format(port=port, key=image.key, folder=folder, **names))
    return config


def write_client(folder: Path, config: Path) -> Path:
    """Put an `ssh` into a folder of `folder` that reads this configuration; that folder, for PATH.

    Whoever runs ssh(1) by its name, as the docker command does, then logs in as the configuration
    says; ssh(1) itself finds a person's configuration by the user database, and not by $HOME.
    """
    programs = folder / "bin"
    programs.mkdir()
    client = programs / "ssh"
    client.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
    client.chmod(0o755)
    return programs


def await_banner(port: int, seconds: float, is_alive: Callable[[], bool]) -> None:
    """Wait until sshd says what it is. Raises SshError."""
    deadline = time.monotonic() + seconds
    patience, longest = BANNER_SECONDS
    while time.monotonic() < deadline and is_alive():
        try:
            with socket.create_connection((HOST, port), timeout=patience) as client:
                if client.recv(len(BANNER)) == BANNER:
                    return
        except TimeoutError:
            patience = min(2 * patience, longest)
        except OSError:
            pass  # it hung up: nobody listens yet
        time.sleep(POLL_SECONDS)
    raise SshError(f"no sshd at port {port} in {seconds:.0f} s")


class Commands:
    """Runs commands over one connection, which is made with the first and kept."""

    def __init__(self, config: Path, alias: str = ALIAS) -> None:
        self._config, self._alias = config, alias
        self._control = config.parent / f"{alias}.control"
        self._master: subprocess.Popen[bytes] | None = None

    def run(self, script: str, feed: bytes = b"") -> str:
        """Run a shell script to its end; what it said, stripped. Raises SshError."""
        done = self.try_run(script, feed)
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise SshError(f"{script}: {done.returncode}\n{said}")
        return done.stdout.decode().strip()

    def try_run(self, script: str, feed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """The same, whatever its exit status."""
        self._connect()
        return subprocess.run(
            self._ssh("-o", "ControlMaster=no", self._alias, script),
            input=feed,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def close(self) -> None:
        """End the connection; the next command makes another."""
        if self._master is not None:
            self._master.kill()
            self._master.wait()
            self._master = None
        self._control.unlink(missing_ok=True)

    def _ssh(self, *arguments: str) -> Sequence[str]:
        control = f"ControlPath={self._control}"
        return ["ssh", "-F", str(self._config), "-o", control, *arguments]

    def _connect(self) -> None:
        if self._master is not None and self._master.poll() is None:
            return
        self.close()
        words = self._control.with_suffix(".log")
        with open(words, "wb") as errors:
            self._master = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._ssh("-M", "-N", self._alias)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        deadline = time.monotonic() + LOGIN_SECONDS
        while not self._control.exists():
            if self._master.poll() is not None or time.monotonic() > deadline:
                raise SshError(f"no log-in as {self._alias}: {words.read_text()}")
            time.sleep(POLL_SECONDS)
