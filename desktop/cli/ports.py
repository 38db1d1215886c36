"""`samehost ports`: the table of mirrored ports, once or with its changes as they happen.

Exit code 3 if the daemon does not run or host networking is off; the table is printed still.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from desktop.api.client import ApiClient, ConnectionLostError
from desktop.cli import reader
from desktop.cli.daemon import connect_if_running, hint_if_off
from desktop.cli.output import Row, clean, print_json, print_json_line, table, warn
from desktop.cli.page import Page
from desktop.errors import ExitCode
from desktop.paths import Paths
from link.labels import service_of

__all__ = ["PortTable", "add_arguments", "run"]

HEAD: Final = ("FROM", "PROTOCOL", "IN THE MACHINE", "HERE", "STATE", "OWNER")
SEVERAL_HEAD: Final = ("MACHINE",)
WIDE_HEAD: Final = ("IMAGE", "SERVICE")
TAIL: Final = ("FLOWS", "REASON")
KEY: Final = (
    *("machine", "origin", "protocol"),
    *("machine_address", "machine_port", "host_address", "host_port"),
)

SHORT_ID: Final = 12
"""Digits of a container's or an image's id, as the docker command shows it."""

IMAGE_ID: Final = "sha256:"
"""How the id of an image that has no name (any more) begins."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""
    parser.add_argument("--json", action="store_true", help="as JSON; with --watch, JSON lines")
    parser.add_argument("--watch", action="store_true", help="go on with the changes")
    parser.add_argument(
        "--wide",
        action="store_true",
        help="with image and service of containers; with --json, image and labels",
    )


def run(arguments: argparse.Namespace, paths: Paths) -> int:
    """See `main.VerbModule`."""
    client = connect_if_running(paths)
    if client is None:
        if arguments.json and arguments.watch:
            print_json_line({"type": "snapshot", "revision": 0, "ports": []})
        else:
            _print_snapshot([], arguments.json, _Look(arguments.wide))
        warn("the daemon does not run; start it: samehost up")
        return ExitCode.NOT_RUNNING
    with client:
        status = client.call("status")
        hint_if_off(status["enabled"], status["enabled_reason"])
        look = _Look(arguments.wide, status["machine"]["name"])
        if not arguments.watch:
            _print_snapshot(client.ports(wide=look.wide)[1], arguments.json, look)
            return ExitCode.DONE if status["enabled"] else ExitCode.NOT_RUNNING
    return _watch(paths, look.wide, _printer(arguments.json, look))


def _watch(paths: Paths, wide: bool, show: Callable[[dict[str, Any]], None]) -> NoReturn:
    """Show changes until interrupted. Raises NotRunningError when the daemon ends, BrokenPipeError
    when nobody reads them any more."""
    while True:
        # The connection also ends if we read too slowly; then the table begins anew.
        with ApiClient.connect(paths.api_socket) as client, suppress(ConnectionLostError):
            for line in client.watch(wide=wide, wait=reader.wait):
                show(line)


def _printer(as_json: bool, look: _Look) -> Callable[[dict[str, Any]], None]:
    port_table = PortTable()
    page = Page(sys.stdout)

    def redraw(line: dict[str, Any]) -> None:
        port_table.apply(line)
        page.draw(_text(port_table.rows(), look))

    def tell(line: dict[str, Any]) -> None:
        is_named = look.names_machines(port_table.rows())
        port_table.apply(line)
        is_named = is_named or look.names_machines(port_table.rows())
        if line["type"] == "snapshot":
            print(_text(port_table.rows(), look), flush=True)
        else:
            _print_changes(line, look.wide, is_named)

    if as_json:
        return print_json_line
    return redraw if sys.stdout.isatty() else tell


def _print_changes(line: dict[str, Any], wide: bool, is_named: bool) -> None:
    for word in ("added", "changed", "removed"):
        for row in line[word]:
            cells = [word, *filter(None, _cells(row, wide, is_named))]
            print(clean("  ".join(cells)), flush=True)


@dataclass(frozen=True)
class _Look:
    """How rows are shown: `wide` or not; the machine `current` goes without saying."""

    wide: bool
    current: str = ""

    def names_machines(self, rows: Iterable[Row]) -> bool:
        """True if the rows are of more than one machine, or of another one."""
        machines = {row["machine"] for row in rows}
        return len(machines) > 1 or not machines <= {self.current}


class PortTable:
    """The table as it is after the lines of `ports --watch --json` so far."""

    def __init__(self) -> None:
        self._rows: dict[tuple[object, ...], Row] = {}

    def apply(self, line: dict[str, Any]) -> None:
        """Take a snapshot, or a delta, into account."""
        if line["type"] == "snapshot":
            self._rows = {_key(row): row for row in line["ports"]}
            return
        for row in line["removed"]:
            self._rows.pop(_key(row), None)
        self._rows.update({_key(row): row for row in [*line["added"], *line["changed"]]})

    def rows(self) -> list[Row]:
        """The rows, sorted as documented."""
        return sorted(self._rows.values(), key=_order)


def _print_snapshot(rows: list[dict[str, Any]], as_json: bool, look: _Look) -> None:
    if as_json:
        print_json(rows)
    else:
        print(_text(rows, look))


def _text(rows: Sequence[Row], look: _Look) -> str:
    if not rows:
        return "no ports"
    is_named = look.names_machines(rows)
    head = (
        *(SEVERAL_HEAD if is_named else ()),
        *HEAD,
        *(WIDE_HEAD if look.wide else ()),
        *TAIL,
    )
    cells = [_cells(row, look.wide, is_named) for row in rows]
    return table(head, cells, sys.stdout, whole=HEAD[:-1], is_last_below=True)


def _cells(row: Row, wide: bool, is_named: bool) -> list[str]:
    return [
        *([row["machine"]] if is_named else ()),
        row["origin"],
        row["protocol"],
        _address(row["machine_address"], row["machine_port"]),
        _address(row["host_address"], row["host_port"]),
        row["state"],
        _owner(row),
        *(_origin_of(row["container"]) if wide else ()),
        str(row["flows"]),
        row["reason"],
    ]


def _owner(row: Row) -> str:
    container = row["container"]
    if container is not None:
        return str(container["name"] or container["id"][:SHORT_ID])
    return str(row["process"] or "")


def _origin_of(container: Mapping[str, Any] | None) -> tuple[str, str]:
    """What it was made of, and for which service."""
    if container is None:
        return "", ""
    image = container["image"]
    if image.startswith(IMAGE_ID):
        image = image.removeprefix(IMAGE_ID)[:SHORT_ID]
    return image, service_of(container["labels"])


def _address(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _key(row: Row) -> tuple[object, ...]:
    """See `desktop.api.types.row_key`."""
    return tuple(row[name] for name in KEY)


def _order(row: Row) -> tuple[object, ...]:
    """See `desktop.api.types.row_order`."""
    here, there = ("machine", "host") if row["origin"] == "machine" else ("host", "machine")
    return (
        row["origin"],
        row["protocol"],
        row[f"{here}_port"],
        row[f"{here}_address"],
        row[f"{there}_address"],
        row["machine"],
    )
