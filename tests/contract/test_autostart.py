"""What every system's way to start at a log-in guarantees; systemd's by the real systemctl, too.

That one works on files alone (SYSTEMD_OFFLINE=1, as in a chroot), so no user manager is needed; the
others' tools are played here, as their manual pages say.
"""

from __future__ import annotations

import abc
import os
import plistlib
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final
from xml.etree import ElementTree

import pytest

from desktop.autostart.interface import MARK, Autostart, Done, Service
from desktop.autostart.launchd import LABEL, LaunchdAutostart
from desktop.autostart.systemd import SystemdAutostart
from desktop.autostart.windows import SCHEMA, TaskAutostart
from desktop.errors import ConflictError, SamehostError
from tests.capabilities import POSIX_FILES, require

COMMAND: Final = ("/opt/a b/python", "-P", "-m", "desktop.cli.main", "up", "--foreground")
SERVICE: Final = Service(COMMAND, {})
ELSEWHERE: Final = Service(COMMAND, {"SAMEHOST_HOME": "/srv/my 100% $HOME"})


class World(abc.ABC):
    """A system, as far as it starts something."""

    needs: ClassVar[str] = ""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.refuses = False
        self.autostart: Autostart = self._make()

    @abc.abstractmethod
    def _make(self) -> Autostart: ...

    @abc.abstractmethod
    def _do(self, command: Sequence[str]) -> Done: ...

    @abc.abstractmethod
    def started(self) -> tuple[Sequence[str], dict[str, str]] | None:
        """What starts with the next log-in, and its environment; None for nothing."""

    @abc.abstractmethod
    def put_somebody_elses(self) -> None:
        """Something of the same name, not ours."""

    def run(self, command: Sequence[str]) -> Done:
        return Done(1, "Access is denied.") if self.refuses else self._do(command)

    def left(self) -> list[Path]:
        """Files there are."""
        return [path for path in self.home.rglob("*") if not path.is_dir()]


class Systemd(World):
    """The user manager's files, and a systemctl that knows them."""

    def _make(self) -> Autostart:
        return SystemdAutostart(self.run, {"HOME": str(self.home)}, [])

    @property
    def unit(self) -> Path:
        return self.home / ".config/systemd/user/samehost.service"

    @property
    def link(self) -> Path:
        return self.unit.parent / "default.target.wants/samehost.service"

    def _do(self, command: Sequence[str]) -> Done:
        assert command[:2] == ("systemctl", "--user")
        verb, name = command[2:]
        assert name == "samehost.service"
        if not self.unit.exists():
            return Done(1, "Failed to get unit file state for samehost.service: No such file")
        if verb == "is-enabled":
            return Done(0, "enabled") if self.link.is_symlink() else Done(1, "disabled")
        if verb == "enable" and not self.link.is_symlink():
            self.link.parent.mkdir(exist_ok=True)
            self.link.symlink_to(self.unit)
        if verb == "disable":
            self.link.unlink()
        return Done(0, "")

    def started(self) -> tuple[Sequence[str], dict[str, str]] | None:
        if not self.link.is_symlink():
            return None
        lines = self.link.read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("ExecStart="))
        words = shlex.split(line.removeprefix("ExecStart="))
        environment = {}
        for line in lines:
            if line.startswith("Environment="):
                (setting,) = shlex.split(line.removeprefix("Environment="))
                name, _, value = setting.partition("=")
                environment[name] = value.replace("%%", "%")
        return [word.replace("%%", "%").replace("$$", "$") for word in words], environment

    def put_somebody_elses(self) -> None:
        self.unit.parent.mkdir(parents=True)
        install = "[Install]\nWantedBy=default.target\n"
        self.unit.write_text(f"[Service]\nExecStart=/bin/other\n{install}")
        assert self.run(("systemctl", "--user", "enable", self.unit.name)).code == 0


class RealSystemd(Systemd):
    """The same by systemd's own systemctl, without its manager."""

    needs = "systemctl"

    def _do(self, command: Sequence[str]) -> Done:
        environment = {**os.environ, "HOME": str(self.home), "SYSTEMD_OFFLINE": "1"}
        environment.pop("XDG_CONFIG_HOME", None)
        done = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
            timeout=60,
        )
        return Done(done.returncode, done.stdout.strip())


class Launchd(World):
    """The folder that launchd reads at a log-in, and launchctl with its list of disabled agents."""

    def __init__(self, home: Path) -> None:
        self.disabled = {"com.example.other": True, LABEL: True}
        super().__init__(home)

    def _make(self) -> Autostart:
        return LaunchdAutostart(self.run, {"HOME": str(self.home)}, 501)

    @property
    def plist(self) -> Path:
        return self.home / "Library/LaunchAgents" / f"{LABEL}.plist"

    def _do(self, command: Sequence[str]) -> Done:
        assert command[0] == "launchctl"
        if command[1:] == ("print-disabled", "gui/501"):
            words = {True: "disabled", False: "enabled"}
            lines = (f'\t\t"{name}" => {words[each]}' for name, each in self.disabled.items())
            return Done(0, "\n".join(["\tdisabled services = {", *lines, "\t}"]))
        assert command[1:] == ("enable", f"gui/501/{LABEL}")
        self.disabled[LABEL] = False
        return Done(0, "")

    def started(self) -> tuple[Sequence[str], dict[str, str]] | None:
        if not self.plist.exists() or self.disabled[LABEL]:
            return None
        agent = plistlib.loads(self.plist.read_bytes())
        assert (agent["Label"], agent["RunAtLoad"]) == (LABEL, True)
        environment = agent["EnvironmentVariables"]
        assert "/opt/homebrew/bin" in environment.pop("PATH")
        return agent["ProgramArguments"], environment

    def put_somebody_elses(self) -> None:
        self.plist.parent.mkdir(parents=True)
        self.plist.write_bytes(plistlib.dumps({"Label": LABEL}))


class Tasks(World):
    """The Task Scheduler, and schtasks with its three orders."""

    def __init__(self, home: Path) -> None:
        self.tasks: dict[str, str] = {}
        super().__init__(home)

    def _make(self) -> Autostart:
        return TaskAutostart(self.run, {"USERDOMAIN": "PC", "USERNAME": "Ada & Co"})

    def _do(self, command: Sequence[str]) -> Done:
        assert command[0] == "schtasks"
        order = command[1]
        options = dict(zip(command[2::2], command[3::2], strict=False))
        name = options["/tn"]
        if order == "/create":
            assert command[-1] == "/f"
            self.tasks[name] = Path(options["/xml"]).read_text("utf-16")
        elif name not in self.tasks:
            return Done(1, "ERROR: The system cannot find the file specified.")
        elif order == "/delete":
            del self.tasks[name]
        return Done(0, self.tasks.get(name, ""))

    def started(self) -> tuple[Sequence[str], dict[str, str]] | None:
        if not self.tasks:
            return None
        ((_, xml),) = self.tasks.items()
        task = ElementTree.fromstring(xml.partition("?>")[2])
        text = {each.tag.removeprefix(f"{{{SCHEMA}}}"): each.text or "" for each in task.iter()}
        assert text["UserId"] == r"PC\Ada & Co"
        assert text["LogonType"] == "InteractiveToken"
        assert text["ExecutionTimeLimit"] == "PT0S"
        if text["Command"] != "cmd.exe":
            return [text["Command"], *shlex.split(text["Arguments"])], {}
        inner = text["Arguments"].removeprefix('/d /s /c "').removesuffix('"')
        setting, _, line = inner.partition(" && ")
        name, _, value = setting.removeprefix('set "').removesuffix('"').partition("=")
        return shlex.split(line), {name: value}

    def put_somebody_elses(self) -> None:
        self.tasks["Samehost"] = "<Task><Description>another</Description></Task>"


WORLDS: Final[dict[str, type[World]]] = {
    "systemd": Systemd,
    "real systemctl": RealSystemd,
    "launchd": Launchd,
    "tasks": Tasks,
}


@pytest.fixture(params=list(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    kind = WORLDS[request.param]
    if kind is Systemd:
        require(POSIX_FILES)  # where there are none there is no systemd
    if kind.needs and shutil.which(kind.needs) is None:
        pytest.skip(f"there is no {kind.needs}")
    return kind(tmp_path)


def test_at_first_nothing_starts(world: World) -> None:
    assert not world.autostart.status().is_on
    assert world.started() is None
    assert world.left() == []


@pytest.mark.parametrize("service", [SERVICE, ELSEWHERE], ids=["usual", "elsewhere"])
def test_what_was_turned_on_starts_with_its_very_words(world: World, service: Service) -> None:
    for _ in range(2):
        world.autostart.turn_on(service)
        status = world.autostart.status()
        assert status.is_on
        assert status.place
        assert not status.is_packaged
        assert world.started() == (list(service.command), dict(service.environment))


def test_turning_on_again_with_another_command_changes_it(world: World) -> None:
    world.autostart.turn_on(SERVICE)
    world.autostart.turn_on(ELSEWHERE)
    assert world.started() == (list(COMMAND), dict(ELSEWHERE.environment))
    world.autostart.turn_on(SERVICE)
    assert world.started() == (list(COMMAND), {})


def test_turning_off_leaves_nothing(world: World) -> None:
    world.autostart.turn_off()
    world.autostart.turn_on(SERVICE)
    for _ in range(2):
        world.autostart.turn_off()
        assert not world.autostart.status().is_on
        assert world.started() is None
        assert world.left() == []


def test_what_is_somebody_elses_is_neither_changed_nor_removed(world: World) -> None:
    world.put_somebody_elses()
    before = world.left()
    with pytest.raises(ConflictError, match="somebody else's"):
        world.autostart.turn_on(SERVICE)
    with pytest.raises(ConflictError, match="somebody else's"):
        world.autostart.turn_off()
    assert world.left() == before


def test_a_system_that_refuses_says_so_with_what_to_do(world: World) -> None:
    world.refuses = True
    with pytest.raises(SamehostError, match="does not do it: Access is denied") as caught:
        world.autostart.turn_on(SERVICE)
    assert caught.value.remedy


def test_a_mark_tells_what_is_ours(world: World) -> None:
    world.autostart.turn_on(SERVICE)
    files = [path.read_bytes().decode() for path in world.left() if not path.is_symlink()]
    tasks = list(world.tasks.values()) if isinstance(world, Tasks) else []
    assert all(MARK in text for text in files + tasks)
    assert files + tasks
