"""Of the control API, and so of every `--json`: fields, methods, and what each command prints."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Mapping
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

import desktop.api.types
from desktop.api import connection
from desktop.api.backend import Backend
from desktop.api.messages import REQUEST_SECONDS
from desktop.doctor.bundle import CONTENTS
from desktop.machines.examination import Finding
from scripts.reference.commands import readers
from scripts.reference.words import first_sentence, members_of, require, table

__all__ = ["fields", "methods", "printed", "structs"]

FORMS: Final[Mapping[str, str]] = {
    "status": "[Status](#status)",
    "ports": "array of [PortRow](#portrow); with `--watch` see below",
    "settings list": "array of [SettingInfo](#settinginfo)",
    "settings get": "[SettingInfo](#settinginfo)",
    "settings set": "[SettingInfo](#settinginfo), as it is then, and `problems`: what is wrong "
    "with the files of settings, and where a broken one is kept",
    "machine list": "array of [MachineInfo](#machineinfo); what else was found is told on "
    "standard error",
    "machine doctor": "array of [Finding](#finding), without `is_way`",
    "machine env": '`{"DOCKER_HOST"}`',
    "doctor": "array of [Finding](#finding) without `is_way`, in which `step` is called `check`; "
    'with `--list` of `{"check", "description"}`; with `--bundle` `{"file", "contents"}`',
    "autostart": '`{"on", "by", "place", "packaged"}`: whether it starts with you, by which means, '
    "the file or task that says so, and whether a package brought it",
    "version": '`{"version", "protocol"}`: of this command',
}
"""What each command with `--json` prints. The command line builds it, so no type says it."""

SPECIAL: Final[Mapping[str, str]] = {
    "metrics": "The status as text for Prometheus.",
}
"""Methods that are the connection's own, and ask the backend for something else."""

ANSWERS: Final[Mapping[str, str]] = {
    "metrics": "text",
    "ports": '`{"revision", "ports"}`',
    "subscribe": '`{"revision", "ports"}`, then [PortDelta](#portdelta)s',
}
"""Where the answer has another form than the backend's."""

NAMES: Final[Mapping[object, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    object: "any",
    Any: "any",
    type(None): "null",
}


def structs() -> list[type[msgspec.Struct]]:
    """All types that are told, in alphabetical order."""
    of_api = (getattr(desktop.api.types, name) for name in desktop.api.types.__all__)
    kinds = [each for each in of_api if isinstance(each, type)]
    return sorted([*kinds, Finding], key=lambda kind: kind.__name__)


def fields() -> str:
    """A table of each type."""
    return "\n\n".join(_struct(kind) for kind in structs())


def _struct(kind: type[msgspec.Struct]) -> str:
    said = members_of(kind)
    hints = get_type_hints(kind)
    rows = [
        (f"`{each.encode_name}`", _form(hints[each.name]), said[each.name])
        for each in msgspec.structs.fields(kind)
    ]
    head = f"### {kind.__name__}\n\n{first_sentence(kind, kind.__name__)}"
    return f"{head}\n\n{table(('field', 'form', 'meaning'), rows)}"


def _form(hint: object) -> str:
    """A type in words."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    if get_origin(hint) in (list, tuple):
        items = ", ".join(_form(each) for each in get_args(hint))
        return f"array of {items}"
    if get_origin(hint) is dict:
        return f"object of {_form(get_args(hint)[1])}"
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_form(each) for each in get_args(hint))
    if all(isinstance(each, str) for each in get_args(hint)) and get_args(hint):
        return "text"
    return NAMES[hint]


def printed() -> str:
    """What each command prints with `--json`."""
    missing = set(readers()) ^ set(FORMS)
    if missing:
        require(None, f"--json of {', '.join(sorted(missing))} (scripts/reference/wire.py)")
    contents = ", ".join(f"`{name}`" for name in CONTENTS)
    rows = [(f"`samehost {name} --json`", FORMS[name]) for name in readers()]
    return f"{table(('command', 'what is printed'), rows)}\n\n`contents` has {contents}."


def methods() -> str:
    """The methods of the control API, what each takes and how long it may take."""
    taken = _parameters()
    rows = [
        (f"`{name}`", _taken(taken[name]), _answer(name), f"{seconds:.0f} s", _method(name))
        for name, seconds in REQUEST_SECONDS.items()
    ]
    return table(("method", "parameters", "answer", "given up after", "meaning"), rows)


def _answer(name: str) -> str:
    return ANSWERS.get(name) or _form(get_type_hints(getattr(Backend, name))["return"])


def _method(name: str) -> str:
    if name in SPECIAL:
        return SPECIAL[name]
    return first_sentence(getattr(Backend, name, None), f"the method {name}")


def _taken(kind: type[msgspec.Struct]) -> str:
    hints = get_type_hints(kind)
    return ", ".join(
        f"`{each.encode_name}`: {_form(hints[each.name])}" for each in msgspec.structs.fields(kind)
    )


def _parameters() -> dict[str, type[msgspec.Struct]]:
    """The parameters of each method, as the table in `Connection` has them."""
    tree = ast.parse(inspect.getsource(connection))
    (written,) = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "self._methods"
    )
    if not isinstance(written, ast.Dict):
        raise TypeError("the methods of the control API are no table any more")
    return {
        str(ast.literal_eval(key)): getattr(connection, ast.unparse(value.elts[0]))
        for key, value in zip(written.keys, written.values, strict=True)
        if key is not None and isinstance(value, ast.Tuple)
    }
