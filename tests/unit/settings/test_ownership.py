"""Who must own the administrator's files, and what becomes of one that others may write."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from desktop.errors import PermissionDeniedError
from desktop.paths import HOME_VARIABLE, Paths, admin_directory
from desktop.settings.keys import SWITCH
from desktop.settings.store import SettingsStore
from tests.capabilities import AS_ROOT, USER_IDS, needs

SOMEBODY = 12345
IGNORED = {"ignore": {"locked": True, "value": ["tcp:1"]}}
as_root = needs(AS_ROOT)
pytestmark = needs(USER_IDS)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """With host networking switched on, and a policy that is well."""
    paths = Paths.under(tmp_path)
    paths.settings_file.write_text('{"hostNetworkingEnabled": true}')
    write_policy(paths.policy_file, IGNORED)
    return paths


def write_policy(file: Path, content: object) -> None:
    """As an administrator does, whatever the umask is."""
    file.parent.mkdir(exist_ok=True)
    file.parent.chmod(0o755)
    file.write_text(json.dumps(content))
    file.chmod(0o644)


def assert_refused(store: SettingsStore, *words: str) -> None:
    """Nothing of it is heeded, and host networking is locked off."""
    (finding,) = store.findings
    for word in words:
        assert word in finding.message
    assert finding.remedy.startswith("look at what it says, then: sudo ch")
    assert (store.switch.enabled, store.switch.locked) == (False, True)
    assert finding.message in store.switch.reason
    assert store.entry(SWITCH).lock == "administrator"
    assert store.settings.ignore == ()
    with pytest.raises(PermissionDeniedError):
        store.set(SWITCH, True)


def test_a_file_that_is_the_users_or_roots_is_heeded(paths: Paths) -> None:
    store = SettingsStore(paths)
    assert store.findings == ()
    assert [str(rule) for rule in store.settings.ignore] == ["tcp:1"]
    assert store.switch.enabled


@pytest.mark.parametrize("mode", [0o664, 0o775])
@pytest.mark.parametrize("is_own", [True, False])
def test_a_group_that_may_write_must_be_the_users_own(
    paths: Paths, mode: int, is_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = paths.policy_file if mode == 0o664 else paths.admin
    path.chmod(mode)
    if is_own:
        assert SettingsStore(paths).findings == ()
        return
    group = path.stat().st_gid
    monkeypatch.setattr("os.getegid", lambda: group + 1)
    assert_refused(SettingsStore(paths), str(path), f"{mode:04o}")


@pytest.mark.parametrize("mode", [0o646, 0o666])
def test_a_file_that_others_may_write_is_refused(paths: Paths, mode: int) -> None:
    paths.policy_file.chmod(mode)
    assert_refused(SettingsStore(paths), str(paths.policy_file), f"{mode:04o}")


@as_root
@pytest.mark.parametrize("mode", [0o646, 0o664])
def test_a_file_of_the_system_is_writable_by_nobody_but_root(paths: Paths, mode: int) -> None:
    system = paths.config / "etc"
    write_policy(system / "admin-settings.json", IGNORED)
    (system / "admin-settings.json").chmod(mode)
    paths.policy_file.unlink()
    store = SettingsStore(replace(paths, system_admin=system))
    assert_refused(store, str(system / "admin-settings.json"), f"{mode:04o}")


@pytest.mark.parametrize("mode", [0o757, 0o777, 0o1777])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_that_others_may_write_is_refused_with_a_file_and_without(
    paths: Paths, mode: int, is_there: bool
) -> None:
    if not is_there:
        paths.policy_file.unlink()
    paths.admin.chmod(mode)
    assert_refused(SettingsStore(paths), f"others may write {paths.admin} ")


@as_root
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_somebody_else_owns_is_refused(paths: Paths, what: str) -> None:
    path = paths.policy_file if what == "file" else paths.admin
    os.chown(path, SOMEBODY, 0)
    assert_refused(SettingsStore(paths), f"{path} belongs to", str(SOMEBODY))


@pytest.mark.parametrize("what", ["file", "folder"])
def test_the_users_own_word_is_not_the_systems(
    paths: Paths, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = paths.config / "etc"
    write_policy(system / "admin-settings.json", IGNORED)
    monkeypatch.setattr("desktop.settings.ownership.ADMINISTRATOR", os.geteuid() + 1)
    if what == "file":
        monkeypatch.setattr("desktop.settings.policy.check_folders", lambda *_, **__: None)
    name = system / "admin-settings.json" if what == "file" else system
    store = SettingsStore(replace(paths, system_admin=system))
    assert str(name) in store.findings[0].message
    assert not store.switch.enabled


def test_a_link_is_judged_by_both_its_folders_and_what_it_leads_to(
    paths: Paths, tmp_path: Path
) -> None:
    target = tmp_path / "elsewhere" / "policy.json"
    write_policy(target, IGNORED)
    paths.policy_file.unlink()
    paths.policy_file.symlink_to(target)
    assert SettingsStore(paths).switch.enabled
    target.chmod(0o646)
    assert_refused(SettingsStore(paths), "others may write", "0646")
    target.chmod(0o644)
    for folder in (target.parent, paths.admin):
        folder.chmod(0o757)
        assert_refused(SettingsStore(paths), f"others may write {folder} ")
        folder.chmod(0o755)


def test_a_pipe_in_its_place_is_refused_and_nobody_waits_for_it(paths: Paths) -> None:
    paths.policy_file.unlink()
    os.mkfifo(paths.policy_file, 0o644)
    store = SettingsStore(paths)
    assert "is not a file" in store.switch.reason
    assert not store.switch.enabled


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_change_of_rights_alone_is_noticed(paths: Paths, what: str) -> None:
    store = SettingsStore(paths)
    path = paths.policy_file if what == "file" else paths.admin
    path.chmod(path.stat().st_mode | 0o002)
    assert store.has_changed_on_disk()
    store.reload()
    assert not store.switch.enabled
    assert not store.has_changed_on_disk()


def test_an_edit_that_keeps_size_and_time_is_noticed(paths: Paths) -> None:
    store = SettingsStore(paths)
    before = paths.policy_file.stat()
    paths.policy_file.write_text(paths.policy_file.read_text().replace("tcp:1", "tcp:2"))
    os.utime(paths.policy_file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.has_changed_on_disk()


# This computer's administrator, under a home of one's own


@pytest.fixture
def system(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, object]], SettingsStore]:
    """Lets an administrator say something; the settings are then found by the environment."""
    folder = paths.config / "etc"
    monkeypatch.setattr("desktop.paths.admin_directory", lambda: folder)
    monkeypatch.setattr("desktop.settings.ownership.ADMINISTRATOR", os.geteuid())
    monkeypatch.setattr("desktop.paths.Paths.check_lengths", lambda _paths: None)
    monkeypatch.setenv(HOME_VARIABLE, str(paths.config))

    def say(content: dict[str, object]) -> SettingsStore:
        write_policy(folder / "admin-settings.json", content)
        return SettingsStore(Paths.find())

    return say


def test_a_home_of_ones_own_does_not_escape_the_computers_administrator(
    system: Callable[[dict[str, object]], SettingsStore],
) -> None:
    store = system({"ignore": {"locked": True, "value": ["tcp:2"]}})
    assert [str(rule) for rule in store.settings.ignore] == ["tcp:2"]
    with pytest.raises(PermissionDeniedError, match=r"etc/admin-settings\.json"):
        store.set("ignore", [])


def test_a_homes_lock_is_stronger_than_the_computers_default(
    system: Callable[[dict[str, object]], SettingsStore],
) -> None:
    store = system({"ignore": {"locked": False, "value": ["tcp:2"]}})
    assert [str(rule) for rule in store.settings.ignore] == ["tcp:1"]
    assert store.entry("ignore").lock == "administrator"


def test_the_findings_of_both_are_told(
    system: Callable[[dict[str, object]], SettingsStore], paths: Paths
) -> None:
    paths.policy_file.write_text("{")
    store = system({"ignore": 5})
    assert len(store.findings) == 2
    assert "etc/admin-settings.json" in store.switch.reason


def test_without_a_home_of_ones_own_there_is_one_place_and_it_is_roots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    (place,) = Paths.find().policy_places
    assert place == (admin_directory() / "admin-settings.json", False)
