"""Where the tests of semantics play: a Samehost with a puppet on either side, and its live table.

Counterparts: `samehost.py`, `puppet.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from desktop.machines.sandbox import Sandbox
from desktop.settings.keys import KEYS
from tests.integration.puppet import ANSWER_SECONDS, Puppet, exchange, program
from tests.integration.samehost import PATIENCE, Samehost, running_samehost

__all__ = ["Stage", "Table", "hears", "open_stage", "refuses"]


class Table:
    """The rows as they are now. `follow` runs in a thread of its own."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._rows: dict[str, dict[str, Any]] = {}

    def follow(self, lines: Iterable[str]) -> None:
        """Take what `samehost ports --watch --json` says."""
        for line in lines:
            message = json.loads(line)
            with self._news:
                if message["type"] == "snapshot":
                    self._rows = {}
                for row in message.get("removed", ()):
                    del self._rows[_key(row)]
                for kind in ("ports", "added", "changed"):
                    self._rows.update((_key(row), row) for row in message.get(kind, ()))
                self._news.notify_all()

    def rows(self, protocol: str, port: int, origin: str = "machine") -> list[dict[str, Any]]:
        """The rows of one real listener's port."""
        with self._news:
            return [
                row
                for row in self._rows.values()
                if (row["origin"], row["protocol"], row[f"{origin}_port"])
                == (origin, protocol, port)
            ]

    def all(self) -> list[dict[str, Any]]:
        """All rows."""
        with self._news:
            return list(self._rows.values())

    def states(self, protocol: str, port: int, origin: str = "machine") -> list[str]:
        """The states of the rows of one real listener's port."""
        return [row["state"] for row in self.rows(protocol, port, origin)]

    def mirrors(self, protocol: str, port: int, origin: str = "machine") -> list[str]:
        """The addresses on which a real listener's port is open on the other side, sorted."""
        other = "host" if origin == "machine" else "machine"
        rows = self.rows(protocol, port, origin)
        return sorted(row[f"{other}_address"] for row in rows if row["state"] == "active")

    def until(self, condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
        """Wait until `condition` is true; it is asked again after every change."""
        with self._news:
            assert self._news.wait_for(condition, patience), f"waited {patience} s for: {what}"

    def pause(self, seconds: float) -> None:
        """Wait for the next change, but no longer than that."""
        with self._news:
            self._news.wait(seconds)


def _key(row: dict[str, Any]) -> str:
    place = (
        "machine",
        "origin",
        "protocol",
        "machine_address",
        "machine_port",
        "host_address",
        "host_port",
    )
    return json.dumps([row[name] for name in place])


@dataclass(frozen=True)
class Stage:
    """A running Samehost, switched on.

    Attributes:
        table: its rows.
        inside: a host-networked container called "inside".
        here: a program of this computer.
        addresses: of the machine, and of this computer towards it.
    """

    samehost: Samehost
    table: Table
    inside: Puppet
    here: Puppet
    addresses: tuple[str, str]
    _changed: set[str] = field(default_factory=set)

    @property
    def redirects(self) -> bool:
        """True if this computer's ports take no sockets in the machine."""
        return "by redirect" in self.samehost.status()["machine"]["watcher"]

    def set(self, key: str, value: object) -> None:
        """Set a setting, until `reset`."""
        self._changed.add(key)
        self.samehost.set(key, value)

    def reset(self) -> None:
        """Give what was set its default again."""
        while self._changed:
            key = self._changed.pop()
            self.samehost.set(key, KEYS[key].default)


@contextlib.contextmanager
def open_stage(daemon: str = "", **settings: object) -> Iterator[Stage]:
    """A Samehost of its own, up, on, with these settings and with the image loaded.

    `daemon` as in `running_samehost`.
    """
    with running_samehost(daemon, **settings) as samehost:
        addresses = Sandbox("sandbox", samehost.paths).addresses()
        here = Puppet(program(), dict(os.environ))
        try:
            with samehost.puppet("inside") as inside, _watch(samehost) as table:
                yield Stage(samehost, table, inside, here, addresses)
        finally:
            here.end()


@contextlib.contextmanager
def _watch(samehost: Samehost) -> Iterator[Table]:
    """The table of ports, kept true by `samehost ports --watch --json`."""
    command = samehost.command("ports", "--watch", "--json")
    watcher = subprocess.Popen(command, env=samehost.environment, stdout=subprocess.PIPE, text=True)
    assert watcher.stdout is not None
    table = Table()
    reader = threading.Thread(target=table.follow, args=(watcher.stdout,))
    reader.start()
    try:
        yield table
    finally:
        watcher.kill()
        watcher.wait()
        reader.join()
        watcher.stdout.close()


def hears(protocol: str, address: str, port: int, patience: float = ANSWER_SECONDS) -> str:
    """What a server says to a client on this computer; "" if none answers in that time."""
    try:
        return exchange(protocol, address, port, patience=patience).decode()
    except OSError:
        return ""


def refuses(protocol: str, address: str, port: int) -> bool:
    """True if a client on this computer is told at once that there is no such port."""
    try:
        exchange(protocol, address, port)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
