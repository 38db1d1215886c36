"""What a front-end in another process needs of this installation: where, and by which commands.

Rules: light (no daemon, no machine is imported), so that a window opens quickly. Commands run with
this very Python (`-P`: no folder called `desktop` in the working directory is taken for ours).
Counterparts: `desktop.cli.main` runs the commands, `desktop.cli.output.print_error` writes what
`failure_of` reads.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from desktop.api.messages import error_to_wire
from desktop.api.stream import address_of
from desktop.errors import ExitCode, SamehostError
from desktop.paths import Paths
from link.version import VERSION

__all__ = [
    "VERSION",
    "SamehostError",
    "daemon_command",
    "failure_of",
    "runtime_folder",
    "socket_path",
    "verb_command",
    "window_file",
]

_PREFIX: Final = "samehost: "


def socket_path() -> str:
    """The daemon's control socket, or pipe, as Qt takes it. Raises UsageError."""
    return address_of(Paths.find().api_socket)


def runtime_folder() -> str:
    """The folder of sockets and locks; whoever writes there makes it. Raises UsageError."""
    return str(Paths.find().runtime)


def window_file() -> str:
    """The file of a window's own preferences; whoever writes it makes its folder.

    Raises UsageError.
    """
    return str(Paths.find().config / "window.json")


def verb_command(*arguments: str) -> list[str]:
    """The command that runs a verb of `samehost`."""
    return [sys.executable, "-P", "-m", "desktop.cli.main", *arguments]


def daemon_command() -> list[str]:
    """The command that starts the daemon, and ends when it serves."""
    return verb_command("up", "--no-machine")


def failure_of(exit_code: int, lines: Sequence[str]) -> dict[str, str]:
    """Why a command failed, from the lines of its standard error: the fields of an error.

    A negative exit code says that it did not end by itself.
    """
    beginnings = [number for number, line in enumerate(lines) if line.startswith(_PREFIX)]
    try:
        code = ExitCode(exit_code).name
    except ValueError:
        code = ExitCode.FAILED.name
    if not beginnings:
        last = [line.strip() for line in lines if line.strip()][-1:]
        end = f"ended with code {exit_code}" if exit_code >= 0 else "did not end by itself"
        message = last[0] if last else f"the command {end}"
        return {**error_to_wire(SamehostError(message, "see: samehost logs")), "code": code}
    first, *rest = lines[beginnings[-1] :]
    remedy = "\n".join(line.strip() for line in rest if line.startswith("  "))
    error = SamehostError(first.removeprefix(_PREFIX), remedy)
    return {**error_to_wire(error), "code": code}
