"""Programs in a distribution of WSL 2, by `wsl.exe`, as its root: it asks for no password.

    wsl.exe --distribution NAME --user root --exec sh -c SCRIPT

How wsl.exe takes that (WSL 3e27a6a50, `src/windows/common/WslClient.cpp`): its options are single
words, as names of distributions are (`found.model.is_name`); what follows `--exec` is parted by the
rules of CommandLineToArgvW, which `subprocess` writes by, and goes to the program as it is, with no
shell in between. With WSL_UTF8=1 its own words are UTF-8 (WSL 0.64 and newer), else UTF-16LE.
WSL_DISABLE_WARNINGS=1 keeps what is not the program's out of standard error.

Rules: streams go over the agent's standard input and output, the one way that needs no port of
either side. The distribution is started and stopped by `managed.py` only.

Limits: a command line of Windows has 32 767 characters (CreateProcessW); START_SCRIPT has a tenth
of that. This has not run on Windows; how a program there is spoken to (`joint_windows.py`) has,
under Wine. Nothing else here knows the system. Counterparts: `found/wsl.py` finds distributions,
`wsl_complaints.py` has what wsl.exe says, `tests/fake_wsl.py` stands for it.
"""

from __future__ import annotations

from typing import Final

from desktop.machines.doors import OpenDoor
from desktop.machines.found.model import one_line
from desktop.machines.found.tools import Tools
from desktop.machines.process import ChildProcess, Process
from desktop.machines.shell import RUN_SECONDS, Completed, Shell, ShellError, ShellTrouble
from desktop.machines.wsl_complaints import as_error, is_complaint
from desktop.transports.transport import Transport, TransportError

__all__ = ["WslShell"]

PROGRAM: Final = "wsl.exe"
ENVIRONMENT: Final = {"WSL_UTF8": "1", "WSL_DISABLE_WARNINGS": "1"}


class WslShell(Shell):
    """See the module. `tools` know where wsl.exe is, and the person's environment."""

    name = "wsl"

    def __init__(self, distribution: str, tools: Tools) -> None:
        self.distribution = distribution
        self._tools = tools

    async def connect(self) -> None:
        """See `Shell`."""
        done = await self.run("true")
        if done.status:
            said = one_line(done.errors.decode(errors="replace")) or f"status {done.status}"
            raise ShellError(
                ShellTrouble.FAILED,
                f"the WSL distribution {self.distribution} runs no sh: {said}",
                f"try it: {PROGRAM} --distribution {self.distribution} --user root --exec sh",
            )

    async def run(
        self, script: str, feed: bytes = b"", *, seconds: float = RUN_SECONDS
    ) -> Completed:
        """See `Shell`."""
        done = await super().run(script, feed, seconds=seconds)
        if done.status < 0:
            raise ShellError(
                ShellTrouble.KILLED, f"{PROGRAM} was ended by signal {-done.status}", "try again"
            )
        if is_complaint(done.status, done.output):
            raise as_error(self.distribution, done.output, done.status)
        return done

    async def start(self, script: str) -> Process:
        """See `Shell`."""
        program = self._tools.where(PROGRAM)
        if program is None:
            raise ShellError(
                ShellTrouble.NOT_INSTALLED,
                f"{PROGRAM} is not on this computer",
                "install WSL, from an administrator's terminal of Windows: wsl --install",
            )
        argv = [program, "--distribution", self.distribution, "--user", "root", "--exec"]
        environment = {**self._tools.environment, **ENVIRONMENT}
        try:
            return await ChildProcess.start([*argv, "sh", "-c", script], environment=environment)
        except OSError as error:
            raise ShellError(
                ShellTrouble.FAILED,
                f"{program} cannot be run: {error.strerror}",
                "install it again",
            ) from error

    async def forward(self, door: OpenDoor) -> Transport:
        """See `Shell`. There is no such way."""
        raise TransportError(f"wsl.exe forwards nothing to {door}")

    async def aclose(self) -> None:
        """See `Shell`; there is nothing to end: a program is its starter's."""
