"""The form of the control API's lines, for both ends. Standard library only: the client is light.

A line is one JSON object in UTF-8, at most `MAX_LINE` bytes with its line feed.

    client: {"hello": {"protocol": 1, "version": "0.1.0"}}
    server: {"hello": {"protocol": 1, "version": "0.1.0"}}      or {"error": …} and the end
    client: {"id": 1, "method": "attach", "params": {"machine": null}}
    server: {"id": 1, "progress": "starting the Docker Engine"}     any number
    server: {"id": 1, "question": "Password:", "secret": true, "number": 1}     see `asking.py`
    client: {"id": 1, "answer": "…", "number": 1}                   or null: nobody answers
    server: {"id": 1, "part": [row, …], "of": "ports"}              any number: a list too long
    server: {"id": 1, "result": …}          or {"id": 1, "error": {"code", "message", "remedy"}}

`of` names the list in the line that ends the answer; its items continue those of the parts.
After the result of `subscribe`, `{"revision", "ports"}`, come changes without end, long ones
with parts before them: `{"id": 1, "event": {"revision", "added", "changed", "removed"}}`.
Where `ports` or `subscribe` was asked for `{"wide": true}`, there is one more list, `containers`:
all that is known of each container of these rows, each once, however many rows it has.
A client that closes the connection, or its writing half, cancels what it asked for (`shutdown`
excepted). A line that breaks these rules is answered with an error and ends the connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from desktop.errors import (
    ConflictError,
    ExitCode,
    MachineUnreachableError,
    NotRunningError,
    PermissionDeniedError,
    SamehostError,
    UsageError,
    VersionMismatchError,
)
from link.version import PROTOCOL, VERSION

__all__ = [
    "MAX_LINE",
    "PART_BYTES",
    "PROTOCOL",
    "REQUEST_SECONDS",
    "decode",
    "encode",
    "error_from_wire",
    "error_to_wire",
    "hello",
]

MAX_LINE: Final = 1 << 20
"""Bytes of a line with its line feed (DESIGN 10)."""

PART_BYTES: Final = 1 << 18
"""A list whose JSON is longer than this goes in parts of about this size."""

_QUICK: Final = 30.0
_LONG: Final = 600.0
"""A machine may have to be downloaded and booted; whoever waits sees progress."""

REQUEST_SECONDS: Final[Mapping[str, float]] = {
    "status": _QUICK,
    "metrics": _QUICK,
    "ports": _QUICK,
    "subscribe": _QUICK,
    "set_enabled": _QUICK,
    "settings": _QUICK,
    "set_setting": _QUICK,
    "check_setting": _QUICK,
    "current_machine": _QUICK,
    "conditions": _QUICK,
    "self_test": _QUICK,
    "machines": _QUICK,
    "attach": _LONG,
    "attach_also": _LONG,
    "detach": _LONG,
    "use": _LONG,
    "start": _LONG,
    "stop": _LONG,
    "shutdown": _LONG,
}
"""All methods, and the seconds until a request is given up (until the snapshot: `subscribe`)."""

_ERRORS: Final[Mapping[str, type[SamehostError]]] = {
    code: kind
    for kind in (
        SamehostError,
        UsageError,
        NotRunningError,
        MachineUnreachableError,
        PermissionDeniedError,
        ConflictError,
        VersionMismatchError,
    )
    for code in (kind.code.name, str(kind.code.value))
}


def hello() -> dict[str, dict[str, object]]:
    """The first message of either end."""
    return {"hello": {"protocol": PROTOCOL, "version": VERSION}}


def encode(message: object) -> bytes:
    """The line of a message. Raises ValueError if it is too long."""
    line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
    if len(line) > MAX_LINE:
        raise ValueError(f"a message of {len(line)} bytes is longer than {MAX_LINE}")
    return line


def decode(line: bytes) -> dict[str, Any]:
    """The message of a line. Raises ValueError."""
    try:
        message = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    return message


def error_to_wire(error: SamehostError) -> dict[str, str]:
    """The three fields of an error; `code` is the name of its `ExitCode`."""
    return {"code": ExitCode(error.code).name, "message": error.message, "remedy": error.remedy}


def error_from_wire(fields: Mapping[str, Any]) -> SamehostError:
    """The error that the three fields describe.

    `code` may be the number too; an unknown one is a plain SamehostError.
    """
    kind = _ERRORS.get(str(fields.get("code")), SamehostError)
    return kind(str(fields.get("message", "unknown error")), str(fields.get("remedy", "")))
