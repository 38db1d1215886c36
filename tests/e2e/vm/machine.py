"""One emulated computer with a Linux of its own, a real Docker Engine, and SSH as the only way in.

    with restored(image) as vm:             # a second
        vm.run("docker run -d --net=host …")
        vm.pause(); vm.resume(); vm.reset(); vm.kill(); vm.restore()

Its port and its SSH configuration stay the same however often it is ended and started.

Rules: what a run leaves is in `folder`; what is written to its disk is gone when it ends.

Counterparts: `store` has the image, `ssh` the log-in, `qemu` the devices.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.e2e.vm.files import VmImage
from tests.e2e.vm.qemu import command
from tests.e2e.vm.qmp import Qmp
from tests.e2e.vm.ssh import (
    ALIAS,
    USER_ALIAS,
    Commands,
    SshError,
    await_banner,
    write_client,
    write_config,
)
from tests.integration.samehost import free_port

__all__ = ["BOOT_SECONDS", "Vm", "VmError", "restored"]

BOOT_SECONDS: Final = 300.0
"""From power on to sshd; takes 7 on an idle computer with two processors."""

SHUTDOWN_SECONDS: Final = 300.0
"""Until systemd has ended all that runs; takes 3, and 10 more where a container does not listen."""

ENGINE_SECONDS: Final = 300.0
"""From there to an answer of the Docker Engine; takes 7."""

ENGINE_ANSWERS: Final = "until docker version > /dev/null 2>&1; do sleep 0.2; done"


class VmError(Exception):
    """The computer did not come up; the text has what its kernel said."""


class Vm:
    """A computer made of `image`, off at first. Ports and SSH configuration are its own.

    Attributes:
        port: of 127.0.0.1, which leads to its sshd.
        ssh_config: for `ssh -F`; in it are ALIAS and USER_ALIAS.
        programs: a folder with an `ssh` that reads it, for PATH.
    """

    def __init__(self, image: VmImage, folder: Path) -> None:
        self.image, self.folder = image, folder
        self.port = free_port()
        self.ssh_config = write_config(folder, self.port, image)
        self.programs = write_client(folder, self.ssh_config)
        self._commands = {name: Commands(self.ssh_config, name) for name in (ALIAS, USER_ALIAS)}
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: Qmp | None = None

    @property
    def qmp(self) -> Qmp:
        """Its monitor. Raises VmError if it is off."""
        if self._qmp is None:
            raise VmError("it is off")
        return self._qmp

    @property
    def pid(self) -> int:
        """The process that emulates it. Raises VmError if it is off."""
        if self._process is None:
            raise VmError("it is off")
        return self._process.pid

    def start(self) -> None:
        """Switch it on and wait for sshd; it writes to the image itself. Raises VmError."""
        self._switch_on(is_restored=False)
        self.await_boot()

    def restore(self) -> None:
        """Switch it on in the state that was saved, and put its clock right. Raises VmError."""
        self._switch_on(is_restored=True)
        self.qmp.move("migrate-incoming", f"exec:cat {self.image.state}")
        self.qmp.run("cont")
        self.await_boot()
        self.run("date --set=@$(cat)", f"{time.time():.3f}".encode())

    def save(self) -> None:
        """Keep the state in the image, and end it."""
        self.run("sync")
        self.qmp.run("stop")
        self.qmp.move("migrate", f"exec:cat > {self.image.state}")
        self.kill()

    def run(self, script: str, feed: bytes = b"", user: str = ALIAS) -> str:
        """Run a shell script in it; what it said, stripped. Raises SshError."""
        return self._commands[user].run(script, feed)

    def pause(self) -> None:
        """Stand still, as a computer that sleeps."""
        self.qmp.run("stop")

    def resume(self) -> None:
        """Go on, as if nothing had been. Its clock is behind by the time it stood still."""
        self.qmp.run("cont")

    def reset(self) -> None:
        """Cut the power for a moment, and wait until it has booted."""
        self.qmp.run("system_reset")
        self.qmp.wait_for("RESET", SHUTDOWN_SECONDS)
        self.await_boot()

    def reboot(self) -> None:
        """Let it end what runs in it and start anew, and wait until it has booted."""
        self.run("systemctl --no-block reboot")
        self.qmp.wait_for("RESET", SHUTDOWN_SECONDS)
        self.await_boot()

    def await_boot(self) -> None:
        """Wait for sshd. Raises VmError."""
        self._disconnect()
        try:
            await_banner(self.port, BOOT_SECONDS, lambda: self._is_on)
        except SshError as error:
            raise VmError(f"{error}\n{self.console()}") from None

    def await_engine(self) -> None:
        """Wait for the Docker Engine. Raises SshError."""
        self.run(f"timeout {ENGINE_SECONDS:.0f} sh -c '{ENGINE_ANSWERS}'")

    def console(self) -> str:
        """The last that its kernel and systemd said."""
        path = self.folder / "console"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def kill(self) -> None:
        """End it at once, as if the process that emulates it had been killed. May be off."""
        self._disconnect()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None

    @property
    def _is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _disconnect(self) -> None:
        for commands in self._commands.values():
            commands.close()

    def _switch_on(self, *, is_restored: bool) -> None:
        self.kill()
        ours, theirs = socket.socketpair()
        with theirs:
            console, monitor = self.folder / "console", theirs.fileno()
            self._process = subprocess.Popen(
                command(self.image, self.port, monitor, console, is_restored=is_restored),
                stdin=subprocess.DEVNULL,
                pass_fds=[monitor],
            )
        self._qmp = Qmp(ours)


@contextlib.contextmanager
def restored(image: VmImage) -> Iterator[Vm]:
    """A computer in the saved state of `image`; it and its files are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="samehost-vm-"))
    vm = Vm(image, folder)
    try:
        vm.restore()
        yield vm
    finally:
        vm.kill()
        shutil.rmtree(folder)
