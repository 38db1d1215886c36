"""Of the environment: which variables Samehost reads, found in its source, and what each does.

Rules: a variable is read by `environ` or `environment`, by its name or by a constant of the same
module whose name ends with VARIABLE or VARIABLES. What libraries and programs of others read that
Samehost runs is in BY_OTHERS. Those set for programs that Samehost starts are none of a person's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from scripts.reference.words import require, table

__all__ = ["BY_OTHERS", "VARIABLES", "read_by_the_source", "variables"]

PROJECT: Final = Path(__file__).parents[2]
PRODUCT: Final = ("desktop", "gui", "vmagent", "link")
READERS: Final = ("environ", "environment")
CONSTANTS: Final = ("VARIABLE", "VARIABLES")

VARIABLES: Final[Mapping[str, str]] = {
    "SAMEHOST_HOME": "a folder below which settings, policy, state, logs and sockets are kept, "
    "instead of the user's usual folders; several can live side by side",
    "NO_COLOR": "set to anything: no colours",
    "PATH": "where programs are looked for: `docker`, `ssh`, `limactl` and the others; on Windows "
    "as `.exe` only, in folders that name a drive",
    "HOME": "where the files of Lima, Colima, Docker and SSH are looked for",
    "XDG_CONFIG_HOME": "the folder of settings is in it; so are, for some, Colima's files",
    "XDG_STATE_HOME": "the folders of state and logs are in it",
    "XDG_RUNTIME_DIR": "the control socket's folder is in it",
    "XDG_DATA_HOME": "Rancher Desktop's files are in it",
    "LIMA_HOME": "where Lima, and what is built on it, has its files",
    "COLIMA_HOME": "where Colima has its files",
    "DOCKER_CONFIG": "where Docker's contexts are",
    "DOCKER_CONTEXT": "not handed on by `samehost docker`, which leads to the current machine",
    "DOCKER_TLS": "the same",
    "DOCKER_TLS_VERIFY": "the same",
    "DOCKER_CERT_PATH": "the same",
    "SSH_AUTH_SOCK": "the agent that has the keys for machines over SSH",
    "SUDO_USER": "whose command it is under `sudo`: said where that person's machines are not "
    "looked for",
    "SUDO_UID": "in the machine: the user who may have the agent's socket forwarded",
    "WAYLAND_DISPLAY": "where the window goes",
    "DISPLAY": "where the window goes on X11",
    "QT_QPA_PLATFORM": "Qt's own choice of where the window goes",
    "XDG_ACTIVATION_TOKEN": "by which a window that runs may come to the front",
    "XDG_CURRENT_DESKTOP": "shown on the window's page About",
    "XDG_SESSION_TYPE": "shown on the window's page About",
    "USERPROFILE": "the home on Windows",
    "LOCALAPPDATA": "where Rancher Desktop has its files on Windows",
    "USERDOMAIN": "on Windows: with USERNAME, whose log-in `samehost autostart` waits for",
    "USERNAME": "the same",
    "WSL_DISTRO_NAME": "set: this is within WSL, whose machines are not looked for from there",
}
"""All of them, and what each does."""

BY_OTHERS: Final = frozenset({"XDG_STATE_HOME", "SSH_AUTH_SOCK"})
"""Read by platformdirs, ssh(1) and paramiko."""


def variables() -> str:
    """A table of all."""
    rows = [(f"`{name}`", require(words, name)) for name, words in VARIABLES.items()]
    for name in read_by_the_source() - set(VARIABLES):
        require(None, f"the environment's {name} (scripts/reference/variables.py)")
    return table(("variable", "meaning"), rows)


def read_by_the_source() -> frozenset[str]:
    """The names that the product's source reads."""
    files = (file for room in PRODUCT for file in (PROJECT / room).rglob("*.py"))
    return frozenset(name for file in files for name in _names(ast.parse(file.read_bytes())))


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and node.value is not None and _is_list(node.target):
            value = ast.literal_eval(node.value)
            yield from (value,) if isinstance(value, str) else value
        asked = _asked(node)
        if isinstance(asked, ast.Constant) and isinstance(asked.value, str):
            yield asked.value


def _is_list(target: ast.expr) -> bool:
    """True for a constant that has names of variables."""
    return isinstance(target, ast.Name) and target.id.rpartition("_")[2] in CONSTANTS


def _asked(node: ast.AST) -> ast.expr | None:
    """What the environment is asked for here, if it is."""
    if isinstance(node, ast.Subscript) and _is_environment(node.value):
        return node.slice if isinstance(node.ctx, ast.Load) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        is_get = node.func.attr == "get" and _is_environment(node.func.value)
        return node.args[0] if is_get else None
    return None


def _is_environment(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in READERS
