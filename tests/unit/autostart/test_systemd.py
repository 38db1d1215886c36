"""systemd: the package's unit, what systemctl may say, and the unit as systemd itself reads it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from desktop.autostart.interface import Done, Service, put_file, run_program
from desktop.autostart.launchd import LaunchdAutostart
from desktop.autostart.select import open_autostart
from desktop.autostart.systemd import SystemdAutostart, unit_text
from desktop.autostart.windows import TaskAutostart
from desktop.errors import PermissionDeniedError, SamehostError
from desktop.paths import HOME_VARIABLE
from tests.capabilities import USER_IDS, needs


class Systemctl:
    """A systemctl that does as it is told, and has one state."""

    def __init__(self, state: str = "disabled") -> None:
        self.state = state
        self.orders: list[str] = []

    def __call__(self, command: Sequence[str]) -> Done:
        verb = command[2]
        if verb == "is-enabled":
            return Done(0 if self.state == "enabled" else 1, self.state)
        self.orders.append(verb)
        self.state = f"{verb}d"
        return Done(0, "")


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    path = tmp_path / "usr/samehost.service"
    path.parent.mkdir()
    path.write_text("[Service]\nExecStart=samehost up --foreground\n")
    return path


def made(tmp_path: Path, systemctl: Systemctl, packaged: Path) -> SystemdAutostart:
    return SystemdAutostart(systemctl, {"HOME": str(tmp_path)}, [tmp_path / "none", packaged])


def test_the_unit_of_the_package_is_enabled_and_nothing_written(
    tmp_path: Path, packaged: Path
) -> None:
    systemctl = Systemctl()
    autostart = made(tmp_path, systemctl, packaged)
    assert not autostart.status().is_on
    assert autostart.status().is_packaged
    autostart.turn_on(Service(["samehost"], {}))
    assert autostart.status().is_on
    assert autostart.status().place == str(packaged)
    assert not (tmp_path / ".config").exists()
    autostart.turn_off()
    autostart.turn_off()
    assert packaged.exists()
    assert systemctl.orders == ["enable", "disable"]


def test_other_folders_need_a_unit_of_ours_before_that_of_the_package(
    tmp_path: Path, packaged: Path
) -> None:
    systemctl = Systemctl()
    autostart = made(tmp_path, systemctl, packaged)
    autostart.turn_on(Service(["samehost"], {HOME_VARIABLE: "/srv"}))
    ours = tmp_path / ".config/systemd/user/samehost.service"
    assert 'Environment="SAMEHOST_HOME=/srv"' in ours.read_text()
    assert autostart.status().place == str(ours)
    assert not autostart.status().is_packaged
    autostart.turn_on(Service(["samehost"], {}))
    assert autostart.status().is_packaged
    assert systemctl.orders == ["enable", "disable", "enable"]


@pytest.mark.parametrize(
    ("state", "is_on"),
    [("enabled", True), ("linked", True), ("disabled", False), ("masked", False)],
)
def test_what_systemctl_says_of_a_unit(
    tmp_path: Path, packaged: Path, state: str, is_on: bool
) -> None:
    assert made(tmp_path, Systemctl(state), packaged).status().is_on is is_on


@pytest.mark.parametrize("said", ["Failed to connect to bus: No medium found", ""])
def test_where_there_is_no_user_manager_that_is_said(
    tmp_path: Path, packaged: Path, said: str
) -> None:
    autostart = made(tmp_path, Systemctl(said), packaged)
    with pytest.raises(SamehostError, match="user manager does not do it") as caught:
        autostart.status()
    assert "log in as this user" in caught.value.remedy


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_systemd_itself_understands_the_unit(tmp_path: Path) -> None:
    service = Service([sys.executable, "-P", "100% $HOME \\ \"a\" 'b'"], {"A": "b c%d \\ $e"})
    path = tmp_path / "samehost.service"
    text = unit_text(service).replace("Documentation=man:samehost(1)\n", "")
    path.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    about_it = [line for line in done.stderr.splitlines() if "samehost.service" in line]
    assert about_it == []


def test_the_command_is_this_installation_with_its_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    assert Service.of_samehost().environment == {}
    monkeypatch.setenv(HOME_VARIABLE, "share")
    service = Service.of_samehost()
    assert service.environment == {HOME_VARIABLE: str(tmp_path / "share")}
    assert list(service.command)[:2] == [sys.executable, "-P"]
    assert list(service.command)[-2:] == ["up", "--foreground"]


def test_a_program_that_is_not_there_is_an_error_with_what_to_do() -> None:
    with pytest.raises(SamehostError, match="no such-a-tool") as caught:
        run_program(["such-a-tool"])
    assert "samehost up" in caught.value.remedy


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_old: Path, _new: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(SamehostError, match="cannot be written: No space left"):
        put_file(tmp_path / "unit", b"")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_ours_is_a_matter_of_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_old: Path, _new: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionDeniedError) as caught:
        put_file(tmp_path / "unit", b"")
    assert str(tmp_path) in caught.value.remedy


@pytest.mark.parametrize(
    "kind", [SystemdAutostart, pytest.param(LaunchdAutostart, marks=needs(USER_IDS))]
)
def test_without_a_home_in_the_environment_it_is_the_users(
    kind: type[SystemdAutostart | LaunchdAutostart],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    kind(lambda _: Done(0, "enabled"), {}).turn_on(Service(["samehost"], {}))
    assert [each for each in tmp_path.rglob("*samehost*") if each.is_file()]


def test_what_a_program_says_on_either_output_is_heard() -> None:
    program = "import os; os.write(1, b'a\\n'); os.write(2, b'b\\n'); os._exit(3)"
    assert run_program([sys.executable, "-c", program]) == Done(3, "a\nb")


@pytest.mark.parametrize(
    ("platform", "kind"),
    [
        ("linux", SystemdAutostart),
        pytest.param("darwin", LaunchdAutostart, marks=needs(USER_IDS)),
        ("win32", TaskAutostart),
    ],
)
def test_each_platform_has_its_way(platform: str, kind: type[object]) -> None:
    assert type(open_autostart(platform)) is kind
