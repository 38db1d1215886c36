"""Plays sections of a document: each command is run, and what it prints is compared.

    python -m tests.docs.play PAGE      within a network, a /run and an /etc of its own, as root

Prints a JSON object: how many commands were run, and what was wrong. Rules: each section begins
with the settings' defaults, host networking on and no containers. What is printed has to have every
line that the document shows, in that order; `…` is any text, and numbers of processes, times and
sizes are any. Commands that only look are tried again until it does. A command that ends with `&`
runs until its section ends. Counterpart: `test_played.py`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from desktop.settings.keys import KEYS, SWITCH
from scripts import demo_image
from tests.docs.classes import PLAYED, STAND_INS, UNANSWERED
from tests.docs.pages import Command, pages

__all__ = ["main", "missing_lines", "to_play"]

PATIENCE_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 60.0
CHOICE: Final = ("machine", "alsoAttach")
"""What `machine use` and `attach` set."""
ENDLESS: Final = "--watch"
ENDLESS_SECONDS: Final = 2.0
LOOKS: Final = re.compile(
    r"samehost (ports|status|doctor|machine list|docker logs)\b|curl\b|samehost enable$"
)
"""What may be done again until it shows what it should."""

VOLATILE: Final = re.compile(
    r"\bpid \d+|\bprocess \d+|\bversion [\d.]+|\d+(\.\d+)? (?:s|ms|min|h|B|[KMG]iB)\b"
)
PROGRAMS: Final = {
    "sudo": 'exec "$@"',
    "samehost": f'exec {shlex.quote(sys.executable)} -m desktop.cli.main "$@"',
}
"""Root needs no sudo; and the command is that of this checkout."""


def to_play(page: str) -> list[Command]:
    """The commands of a page that are run, in order."""
    return [
        command
        for command in pages()[page].commands()
        if command.section in PLAYED[page]
        and not command.is_inline
        and command.text.split()[0] not in UNANSWERED
    ]


def missing_lines(shows: tuple[str, ...], printed: str) -> list[str]:
    """The first line that a document shows and nobody printed, if there is one."""
    lines = iter([_plain(line) for line in printed.splitlines()])
    for shown in shows:
        words = rf"(?<!\S){re.escape(_plain(shown))}(?!\S)"
        pattern = re.compile(words.replace("…", r"\S*(?: .*)?"))
        if not any(pattern.search(line) for line in lines):
            return [shown]
    return []


def _plain(line: str) -> str:
    """Without what differs each time; columns are as wide as they have to be."""
    return " ".join(VOLATILE.sub("#", line).split())


class Stage:
    """One Samehost, and the shell in which commands are typed."""

    def __init__(self, folder: Path) -> None:
        for name, text in PROGRAMS.items():
            program = folder / name
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        self._folder = folder
        path = f"{folder}:{os.environ['PATH']}"
        root = str(Path(__file__).parents[2])
        self._environment = {**os.environ, "PATH": path, "PYTHONPATH": root}
        self._running: list[subprocess.Popen[bytes]] = []

    def play(self, command: Command) -> str:
        """Run a command; what is wrong, or ""."""
        if command.text.endswith("&"):
            self._begin(command.text.rstrip("& "))
            return ""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while problem := self._try(command):
            if not LOOKS.match(command.text) or time.monotonic() > deadline:
                return f"{command}\n{problem}"
            time.sleep(PAUSE_SECONDS)
        if re.search(r"samehost (up|machine attach)\b", command.text):
            self._load_images()
        return ""

    def _try(self, command: Command) -> str:
        seconds = ENDLESS_SECONDS if ENDLESS in command.text else LONGEST_SECONDS
        try:
            done = self.run(command.text, seconds)
        except subprocess.TimeoutExpired as late:
            if ENDLESS in command.text:
                return ""
            return f"took longer than {seconds} s: {late.stdout!r}"
        is_error = any(line.startswith("samehost: ") for line in command.shows)
        if (done.returncode != 0) != is_error and "status" not in command.text:
            return f"exit code {done.returncode}: {done.stdout}"
        if missing := missing_lines(command.shows, done.stdout):
            return f"does not show {missing[0]!r}: {done.stdout}"
        return ""

    def run(self, line: str, seconds: float = LONGEST_SECONDS) -> subprocess.CompletedProcess[str]:
        """Type a line; what it prints on either output."""
        return subprocess.run(
            ["sh", "-c", line],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=seconds,
            env=self._environment,
            cwd=self._folder,
        )

    def _begin(self, line: str) -> None:
        quiet = subprocess.DEVNULL
        command = ["sh", "-c", f"exec {line}"]
        process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        self._running.append(process)
        port = re.search(r"\b\d{4,5}\b", line)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while port and self.run(f"curl -s -o /dev/null http://localhost:{port[0]}/").returncode:
            if time.monotonic() > deadline:
                raise TimeoutError(line)
            time.sleep(PAUSE_SECONDS)

    def _load_images(self) -> None:
        """What stands for the documents' images, in the current machine."""
        archive = demo_image.import_arguments(demo_image.build())
        lines = [shlex.join(["samehost", "docker", *archive])]
        for name, command in STAND_INS.items():
            entry = json.dumps(["/bin/sh", "-c", command, "--"])
            lines += [
                f"samehost docker create --name seed {demo_image.IMAGE}",
                f"samehost docker commit --change {shlex.quote(f'ENTRYPOINT {entry}')} seed {name}",
                "samehost docker rm seed",
            ]
        done = self.run(" && ".join(lines))
        if done.returncode:
            raise RuntimeError(done.stdout)

    def set(self) -> None:
        """As each section finds it: up, on, nothing chosen, no container."""
        self._end_programs()
        Path("/etc/samehost/admin-settings.json").unlink(missing_ok=True)
        if not self.run("samehost status --json").stdout.count('"connected"'):
            self.run("samehost up --machine sandbox")
            self._load_images()
        file = Path(os.environ["SAMEHOST_HOME"]) / "settings.json"
        chosen = json.loads(file.read_text()) if file.exists() else {}
        changes = [
            f"samehost settings set {name} {shlex.quote(json.dumps(KEYS[name].default))}"
            for name in chosen
            if name not in (SWITCH, *CHOICE)
        ]
        if chosen.get("alsoAttach"):
            changes += ["samehost machine use sandbox", "samehost machine stop sandbox-b"]
        containers = "$(samehost docker ps --all --quiet)"
        self.run("; ".join([*changes, f"samehost docker rm --force {containers}"]))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.run("samehost enable").returncode and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)

    def end(self) -> None:
        """Take all of it away, whatever has become of it."""
        self._end_programs()
        self.run("samehost down")

    def _end_programs(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()
        self._running.clear()


def _played(page: str, stage: Stage) -> Iterator[str]:
    """What is wrong, section by section; after a fault the section ends."""
    for section, commands in groupby(to_play(page), lambda command: command.section):
        if section != "The sandbox":
            stage.set()
        yield from next(([problem] for each in commands if (problem := stage.play(each))), [])
        sys.stderr.write(f"played {page}, {section}\n")


def main(page: str) -> None:
    """Play a page. Raises RuntimeError on a computer that is somebody's."""
    if " /etc overlay " not in Path("/proc/self/mounts").read_text():
        raise RuntimeError("it changes /etc: run it as test_played.py does")
    with tempfile.TemporaryDirectory(prefix="samehost-") as folder:
        stage = Stage(Path(folder))
        try:
            problems = list(_played(page, stage))
        finally:
            stage.end()
    json.dump({"commands": len(to_play(page)), "problems": problems}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
