"""Where files go, for users, for root, and under SAMEHOST_HOME."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop.errors import UsageError
from desktop.paths import HOME_VARIABLE, ROOT_RUNTIME, Paths, admin_directory


def test_a_home_of_its_own_holds_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, "/srv/one")
    paths = Paths.find()
    folders = {paths.config, paths.admin, paths.state, paths.logs, paths.runtime}
    assert all(folder.is_relative_to("/srv/one") for folder in folders)
    assert paths.settings_file == Path("/srv/one/settings.json")
    assert paths.policy_file == Path("/srv/one/admin/admin-settings.json")


def test_a_relative_home_does_not_depend_on_where_one_stands_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir("/usr")
    monkeypatch.setenv(HOME_VARIABLE, "here")
    assert Paths.find().config == Path("/usr/here")


def test_a_home_too_deep_for_a_socket_is_refused_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, "/" + "d" * 90)
    with pytest.raises(UsageError, match="too deep") as caught:
        Paths.find()
    assert HOME_VARIABLE in caught.value.remedy


def test_sockets_go_to_the_sessions_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert Paths.find().runtime == Path("/run/user/7/samehost")


@pytest.mark.parametrize("user", [0, 1000])
def test_sockets_never_go_where_somebody_else_could_be_first(
    monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr("sys.platform", "linux")  # macOS: below
    paths = Paths.find()
    expected = ROOT_RUNTIME if user == 0 else paths.state / "run"
    assert paths.runtime == expected


@pytest.mark.parametrize(
    ("platform", "folder"),
    [
        ("linux", "/etc/samehost"),
        ("darwin", "/Library/Application Support/Samehost"),
        ("win32", r"C:\ProgramData\Samehost"),
    ],
)
def test_each_system_has_its_folder_for_administrators(platform: str, folder: str) -> None:
    assert str(admin_directory(platform)) == folder


def test_no_variable_moves_the_administrators_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ProgramData", "ALLUSERSPROFILE", "XDG_CONFIG_DIRS"):
        monkeypatch.setenv(name, "/tmp/mine")
    for platform in ("linux", "darwin", "win32"):
        assert "mine" not in str(admin_directory(platform))


def test_on_macos_sockets_are_where_even_a_long_name_leaves_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("HOME", "/Users/" + "n" * 70)
    monkeypatch.setattr("sys.platform", "darwin")
    paths = Paths.find()
    assert paths.api_socket == Path("/Users", "n" * 70, ".samehost/api.sock")
