"""A shell at a terminal, at which somebody types: Tab is a real Tab.

What is typed at last runs a `samehost` that only notes its arguments, so that what a completion
made of the line is seen as the program would see it.
"""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.ended import ended
from tests.packaging.stage import environment_of, tool

__all__ = ["MACHINES", "Shell", "complete"]

PROMPT: Final = "READY> "
PATIENCE: Final = 30.0
PAUSE_SECONDS: Final = 0.05
MACHINES: Final = "colima", "lima-docker", "sandbox"

STUB: Final = """\
#!/bin/sh
case "$*" in
    'machine list') printf 'NAME  KIND\\n'; printf '%s  some\\n' {machines} ;;
    *) for word; do printf '%s\\n' "$word"; done > "$NOTE.new"; mv "$NOTE.new" "$NOTE" ;;
esac
"""
SETUPS: Final = {
    "bash": (
        "rc",
        "source /usr/share/bash-completion/bash_completion\n"
        "source {folder}/completions/{name}\nbind 'set bell-style none'\nPS1='" + PROMPT + "'\n",
    ),
    "zsh": (
        ".zshrc",
        "fpath=({folder}/completions $fpath)\nautoload -Uz compinit\ncompinit -u -D\nPS1='"
        + PROMPT
        + "'\n",
    ),
}


@dataclass(frozen=True)
class Shell:
    """One of SETUPS, or fish, with a completion."""

    name: str
    folder: Path

    @classmethod
    def with_completion(cls, name: str, folder: Path, file: str, text: str) -> Shell:
        """Lay everything into a folder."""
        for below in ("bin", "completions"):
            (folder / below).mkdir()
        (folder / "completions" / file).write_text(text)
        stub = folder / "bin" / "samehost"
        stub.write_text(STUB.format(machines=" ".join(MACHINES)))
        stub.chmod(0o755)
        (folder / "report.zip").touch()
        if name in SETUPS:
            rc, setup = SETUPS[name]
            (folder / rc).write_text(setup.format(folder=folder, name=file))
        return cls(name, folder)

    @property
    def environment(self) -> dict[str, str]:
        """As a person's who has nothing else."""
        path = f"{self.folder / 'bin'}:/usr/bin:/bin"
        note, home = str(self.folder / "note"), str(self.folder)
        return environment_of(
            self.folder, PATH=path, NOTE=note, HOME=home, ZDOTDIR=home, TERM="dumb"
        )


def complete(shell: Shell, keys: str) -> list[str]:
    """The arguments that `samehost` gets after somebody typed `keys`, and Return."""
    if shell.name == "fish":
        return _fish(shell, keys)
    commands = {
        "bash": [tool("bash"), "--noprofile", "--rcfile", str(shell.folder / "rc"), "-i"],
        "zsh": [tool("zsh"), "-d", "-i"],
    }
    note = shell.folder / "note"
    note.unlink(missing_ok=True)
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        process = subprocess.Popen(
            commands[shell.name],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=shell.folder,
            env=shell.environment,
            start_new_session=True,
        )
        with ended(process):
            os.close(theirs)
            _await_prompt(ours)
            terminal.write(f"samehost {keys}\r".encode())
            _await_note(ours, note)
    return note.read_text().splitlines()


def _await_prompt(terminal: int) -> None:
    seen = b""
    deadline = time.monotonic() + PATIENCE
    while PROMPT.encode() not in seen:
        assert select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0], seen
        seen += os.read(terminal, 4096)


def _await_note(terminal: int, note: Path) -> None:
    """Read on until the command has run: a prompt may be drawn anew while one types."""
    seen = b""
    deadline = time.monotonic() + PATIENCE
    while not note.exists():
        assert time.monotonic() < deadline, seen
        if select.select([terminal], [], [], PAUSE_SECONDS)[0]:
            seen += os.read(terminal, 4096)


def _fish(shell: Shell, keys: str) -> list[str]:
    """Tab by Tab: what fish would put there if it is the only thing that fits."""
    line = "samehost "
    for part in keys.split("\t")[:-1]:
        program = f"source {shell.folder}/completions/*; complete -C '{line}{part}'"
        out = subprocess.check_output(
            [tool("fish"), "--no-config", "-c", program],
            cwd=shell.folder,
            env=shell.environment,
            text=True,
            timeout=PATIENCE,
        )
        (word,) = {each.split("\t")[0] for each in out.splitlines()}
        line = line + part
        line = line[: line.rindex(" ") + 1] + word + " "
    return (line + keys.split("\t")[-1]).split()[1:]
