"""All checks by name: what each looks at, where it is implemented, and how long it may take.

Rules: in the order in which they are taken, so that what explains others comes first. A check
called `files-limit` is the coroutine `check_files_limit` of its module, which is imported only when
it is taken. Counterparts: `run.py` takes them; docs/reference.md and docs/troubleshooting.md name
them, which a test compares with this table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from desktop.doctor.patient import Patient
from desktop.doctor.verdict import Verdict
from desktop.errors import UsageError

__all__ = ["CHECKS", "Check", "chosen"]

USUAL_SECONDS: Final = 10.0
MACHINE_SECONDS: Final = 60.0
"""A log-in over a slow network, and an agent that starts there."""
SELF_TEST_SECONDS: Final = 30.0
"""Several machines, each of which may take its time."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `description` says what should be.

    `module` is below `desktop.doctor`; it may take `seconds`.
    """

    name: str
    description: str
    module: str
    seconds: float = USUAL_SECONDS

    @property
    def implementation(self) -> Callable[[Patient], Awaitable[Verdict]]:
        """The coroutine that looks."""
        module = import_module(f"desktop.doctor.{self.module}")
        function = getattr(module, f"check_{self.name.replace('-', '_')}")
        return cast("Callable[[Patient], Awaitable[Verdict]]", function)

    async def look(self, patient: Patient) -> Verdict:
        """Take it. Raises SamehostError, and whatever else a fault of ours may raise."""
        return await self.implementation(patient)


CHECKS: Final[Sequence[Check]] = (
    Check("daemon", "the daemon runs and answers", "daemon"),
    Check("protocol", "command, daemon and agents are of one version", "daemon"),
    Check("switch", "host networking is on", "settings"),
    Check("settings", "the settings files of user and administrator can be understood", "settings"),
    Check("runtime-folder", "the control socket and the log are the user's alone", "folders"),
    Check("disk", "settings, state and log can be written", "folders"),
    Check("files-limit", "the daemon may open enough files", "limits"),
    Check("privileged-ports", "ports below 1024 can be opened here", "limits"),
    Check("machine", "the machine is reached and connected", "machine", MACHINE_SECONDS),
    Check("python", "the machine has a Python for the agent", "machine", MACHINE_SECONDS),
    Check("capabilities", "the agent may do all that it needs to", "agent"),
    Check("watcher", "containers' ports are found in the best way there is", "agent"),
    Check("engine", "the container engine answers", "engine", MACHINE_SECONDS),
    Check("clock", "the clocks of this computer and the machine agree", "agent"),
    Check("ports", "no port is in conflict or denied", "ports"),
    Check("self-test", "a byte passes each way by TCP and UDP", "self_test", SELF_TEST_SECONDS),
    Check("forwarders", "no other program forwards the machine's ports", "ports"),
)


def chosen(names: Sequence[str]) -> list[Check]:
    """The checks of these names in their order, all for none. Raises UsageError."""
    known = [check.name for check in CHECKS]
    for name in names:
        if name not in known:
            raise UsageError(
                f"unknown check: {name}", "known, as samehost doctor --list: " + ", ".join(known)
            )
    return [check for check in CHECKS if not names or check.name in names]
