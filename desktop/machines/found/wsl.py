"""WSL 2: `wsl.exe --list --verbose`, which is a table for people.

Layout (WSL `src/windows/common/WslClient.cpp`): UTF-16LE unless it knows WSL_UTF8=1; a header; a
line per distribution with `*` for the default one, name, state, version. Versions before 2.0 are
part of Windows and say header and state in its language, so only the version, a digit, is trusted;
what runs is then asked by `--list --running --quiet`, which prints names.

All distributions of version 2 share one network: in mirrored mode (`wslinfo --networking-mode`, or
`networkingMode` in .wslconfig while none runs) WSL shares localhost in both directions by itself.
Docker Desktop's, Rancher Desktop's and Podman's distributions are those tools' affair. Within WSL,
where `wsl.exe` can be called too, there is nothing to find: this computer is one of them.
"""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Final, NamedTuple

from desktop.findings import Finding
from desktop.machines.found.finder import Finder, NonsenseError, read_small, usable
from desktop.machines.found.model import Found, Lifecycle, Sighting, WslWay, text_of
from desktop.machines.found.tools import ToolError, ToolTrouble
from desktop.machines.machine import MachineState

__all__ = ["Distribution", "WslFinder", "mode_in_config", "parse_table"]

PREFIX: Final = "wsl-"
UTF8: Final = {"WSL_UTF8": "1"}
MIRRORED: Final = "mirrored"

OTHERS: Final = ("docker-desktop", "rancher-desktop", "podman-")
"""How the names of distributions begin that belong to other tools."""

STATES: Final[dict[str, MachineState]] = {
    "Running": "running",
    "Stopped": "stopped",
    "Installing": "starting",
    "Converting": "starting",
    "Uninstalling": "failed",
    "Exporting": "stopped",
}
"""The words of WSL 2.0 and newer."""

DOES_IT_ITSELF: Final = (
    "WSL shares localhost in both directions by itself: networkingMode=mirrored is on in"
    " .wslconfig; use it as it is, or set networkingMode=nat and run wsl --shutdown"
)


class Distribution(NamedTuple):
    """A line of the table."""

    name: str
    state: str
    version: int


class WslFinder(Finder):
    """Distributions of version 2 that are nobody else's."""

    program = "wsl.exe"

    def owns(self, name: str) -> bool:
        """See `Finder`."""
        return name.startswith(PREFIX)

    async def look(self) -> Sighting:
        """See `Finder`."""
        if self.tools.environment.get("WSL_DISTRO_NAME"):
            return Sighting()
        try:
            text = await self.tools.ask(self.program, "--list", "--verbose", environment=UTF8)
        except ToolError as error:
            if error.trouble is ToolTrouble.FAILED and _has_none(error.said):
                return Sighting()
            raise
        table, unusable = usable(parse_table(text), self.program)
        table = [each for each in table if _is_ours(each)]
        running = await self._running(table)
        mode, findings = await self._mode(running)
        declined = DOES_IT_ITSELF if mode == MIRRORED else ""
        return Sighting(
            tuple(_found(each, running, declined) for each in table), (*unusable, *findings)
        )

    async def _running(self, table: list[Distribution]) -> frozenset[str]:
        """Names of those that run."""
        if all(each.state in STATES for each in table):
            return frozenset(each.name for each in table if STATES[each.state] == "running")
        try:
            text = await self.tools.ask(
                self.program, "--list", "--running", "--quiet", environment=UTF8
            )
        except ToolError as error:
            if error.trouble is not ToolTrouble.FAILED:
                raise
            return frozenset()  # it fails where none runs
        printed = {line.strip() for line in text_of(text).splitlines()}
        return frozenset(each.name for each in table if each.name in printed)

    async def _mode(self, running: frozenset[str]) -> tuple[str, list[Finding]]:
        """The networking mode: of the machine that runs, or that the next one will have."""
        if running:
            name = min(running)
            try:
                text = await self.tools.ask(
                    self.program, "--distribution", name, "--exec", "wslinfo", "--networking-mode"
                )
                return text_of(text).strip().lower(), []
            except ToolError as error:
                if error.trouble is not ToolTrouble.FAILED:
                    return "", [Finding(error.message, error.remedy)]
                # wslinfo came with WSL 2.0, as mirrored mode did.
        folder = Path(self.tools.environment.get("USERPROFILE") or self.tools.home)
        try:
            return mode_in_config(read_small(folder / ".wslconfig")), []
        except FileNotFoundError:
            return "", []
        except (OSError, NonsenseError) as error:
            return "", [Finding(f"{folder / '.wslconfig'}: {error}", "correct that file")]


def parse_table(text: bytes) -> list[Distribution]:
    """The distributions in a table. Raises NonsenseError if it is none."""
    lines = [line for line in text_of(text).splitlines() if line.strip()]
    found = []
    for line in lines:
        words = line.replace("*", " ", 1).split() if line.lstrip()[:1] == "*" else line.split()
        if len(words) >= 3 and words[-1] in ("1", "2"):
            found.append(Distribution(words[0], " ".join(words[1:-1]), int(words[-1])))
    if lines and not found:
        raise NonsenseError(f"its table is not understood: {lines[0].strip()[:80]}")
    return found


def mode_in_config(text: bytes) -> str:
    """`networkingMode` of a .wslconfig file, in small letters; "" if it has none.

    Raises NonsenseError.
    """
    parser = configparser.ConfigParser(
        strict=False, allow_no_value=True, interpolation=None, comment_prefixes=("#", ";")
    )
    try:
        parser.read_string(text.decode("utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise NonsenseError(str(error).splitlines()[0]) from error
    except AttributeError as error:  # a line after a key without a value (python/cpython#107625)
        raise NonsenseError("a line goes on that says nothing") from error
    for section in ("wsl2", "experimental"):
        for name in parser.sections():
            mode = parser.get(name, "networkingmode", fallback="")
            if name.lower() == section and mode:
                return mode.strip().lower()
    return ""


def _has_none(said: str) -> bool:
    """True for the complaint that there are no distributions: it names how to get one."""
    return "--install" in said


def _is_ours(distribution: Distribution) -> bool:
    return distribution.version == 2 and not distribution.name.startswith(OTHERS)


def _found(distribution: Distribution, running: frozenset[str], declined: str) -> Found:
    name = distribution.name
    state = STATES.get(distribution.state, "stopped")
    return Found(
        name=PREFIX + name,
        kind="wsl",
        state="running" if name in running else state,
        way=WslWay(name),
        declined=declined,
        lifecycle=Lifecycle(
            start=("wsl.exe", "--distribution", name, "--exec", "true"),
            stop=("wsl.exe", "--terminate", name),
            abandon=("wsl.exe", "--terminate", name),
        ),
    )
