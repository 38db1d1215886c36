"""What the control API asks of the daemon.

Rules: called on the server's event loop. Methods raise `desktop.errors.SamehostError`s, which
reach the client as they are; any other exception is a bug, ends that client's connection and
goes to the log. Asynchronous methods may be cancelled (the client went away, or the time in
`messages.REQUEST_SECONDS` is over), except `shutdown`. Proven for every backend by
`tests/contract/test_api_backends.py`. Counterparts: `server.py`, `fake.py`, `desktop.daemon`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from desktop.api.subscription import Subscription
from desktop.api.types import (
    ContainerDetails,
    MachineCondition,
    MachineInfo,
    MachineList,
    PortRow,
    SettingInfo,
    Status,
    TrialInfo,
)

__all__ = ["Backend", "ClientCounts", "Progress"]


@dataclass(slots=True)
class ClientCounts:
    """What became of clients of the control API.

    Attributes:
        refused: not served: another user's, or too many.
        dropped: they did not read what they were sent.
        evicted: they asked for nothing, and made room for others.
        faulty: they broke the rules of the dialogue.
    """

    refused: int = 0
    dropped: int = 0
    evicted: int = 0
    faulty: int = 0

    def counters(self) -> dict[str, int]:
        """Under the names of `counters.COUNTERS`."""
        return {
            "api_clients_refused": self.refused,
            "api_clients_dropped": self.dropped,
            "api_clients_evicted": self.evicted,
            "api_clients_faulty": self.faulty,
        }


Progress = Callable[[str], None]
"""Called with one short line for a person; never blocks or raises."""


class Backend(Protocol):
    """The daemon, as its clients see it.

    Attributes:
        clients: counted by the server, and told in `status().counters`.
    """

    clients: ClientCounts

    def status(self) -> Status:
        """What `samehost status` shows."""

    def ports(self) -> tuple[int, list[PortRow]]:
        """The port table: its revision, and its rows in the order of `types.row_order`."""

    def containers(self) -> list[ContainerDetails]:
        """The containers of those rows, each once."""

    def subscribe(self) -> Subscription:
        """The port table, then its changes without end.

        Those after this call (`subscription.PortFeed.subscribe`).
        A change with revision R leads from `ports()` of revision R - 1 to that of R.
        """

    async def set_enabled(self, enabled: bool) -> None:
        """Turn host networking on or off; done when it is stored and under way."""

    def settings(self) -> list[SettingInfo]:
        """All settings in force."""

    async def set_setting(self, key: str, value: object) -> None:
        """Choose a value; done when it is stored and under way."""

    async def check_setting(self, key: str, value: object) -> None:
        """Raise what `set_setting` would, and change nothing."""

    async def attach(self, machine: str | None, progress: Progress) -> list[str]:
        """Start a machine if need be, and connect to its agent; done when connected.

        It is the current one then. None is the machine of the settings, or one that is found.
        Then the same with those that the settings name beside it; all others are detached. The
        result says which of those beside it could not be attached, and why. Connected already:
        nothing to do. Cancelled, it leaves the current one as it was.
        """

    async def attach_also(self, name: str, progress: Progress) -> None:
        """Attach a machine beside those that are, in the settings too."""

    async def detach(self, name: str, progress: Progress) -> None:
        """Detach from a machine, in the settings too; it runs on.

        If it was the current one, the one attached longest beside it is then. UsageError if it
        is not attached.
        """

    async def conditions(self) -> list[MachineCondition]:
        """How the agents of the connected machines are, the current one's first."""

    async def self_test(self, machine: str | None) -> list[TrialInfo]:
        """Send a byte through temporary mirrors of a machine that is connected.

        None is the current one. By TCP and UDP, to a port there and, unless `reachHost` is off, to
        one here. Raises NotRunningError if host networking is off, UsageError,
        MachineUnreachableError.
        """

    async def current_machine(self) -> MachineInfo | None:
        """The machine in use, if there is one; the other machines are not looked for."""

    async def machines(self) -> MachineList:
        """All machines that were found; at most one is `current`."""

    async def use(self, name: str, progress: Progress) -> None:
        """Make a machine the current one, in the settings too, and attach to it.

        It takes the place of the one that was, which is detached; if it was attached beside that
        already, both stay. If it cannot be attached, all is as it was.
        """

    async def start(self, name: str, progress: Progress) -> None:
        """Start a machine without attaching to it."""

    async def stop(self, name: str, progress: Progress) -> None:
        """Detach from a machine, the settings aside, and stop it."""

    async def shutdown(self, progress: Progress) -> None:
        """Close every mirror, stop the machine that the daemon started, end the daemon.

        Returns when all that is done, but for the control API itself: its server is closed
        after this has returned, and delivers the answer before it closes.
        """
