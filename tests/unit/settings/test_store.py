"""The settings file: what is stored, what is kept, what is lost (nothing)."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop.errors import PermissionDeniedError, SamehostError, UsageError
from desktop.paths import Paths
from desktop.settings.keys import KEYS
from desktop.settings.store import SettingsStore
from desktop.settings.values import Settings
from tests.capabilities import SYMLINKS, USER_IDS, needs

# A folder that the examples share is emptied by each of them.
shared = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.under(tmp_path)


def write(paths: Paths, text: str) -> None:
    paths.settings_file.write_text(text, encoding="utf-8")


def stored(paths: Paths) -> Any:
    return json.loads(paths.settings_file.read_text(encoding="utf-8"))


def test_without_a_file_everything_is_default(paths: Paths) -> None:
    store = SettingsStore(paths)
    assert store.settings == Settings()
    assert store.findings == ()
    assert not store.switch.enabled
    assert not paths.settings_file.exists()


def test_what_was_set_is_in_force_and_is_found_again(paths: Paths) -> None:
    in_force = SettingsStore(paths).set("ignore", ["tcp:7000-7010"])
    assert [str(rule) for rule in in_force.ignore] == ["tcp:7000-7010"]
    assert SettingsStore(paths).settings == in_force
    assert stored(paths) == {"ignore": ["tcp:7000-7010"]}


def test_only_what_differs_from_the_default_is_stored(paths: Paths) -> None:
    store = SettingsStore(paths)
    store.set("reachHost", False)
    store.set("udpIdleSeconds", 90)
    assert stored(paths) == {"reachHost": False}
    store.set("reachHost", True)
    assert stored(paths) == {}


def test_the_file_is_readable_by_its_owner_only(paths: Paths) -> None:
    write(paths, "{}")
    paths.settings_file.chmod(0o666)
    SettingsStore(paths).set("reachHost", False)
    if USER_IDS.is_there:
        assert stat.S_IMODE(paths.settings_file.stat().st_mode) == 0o600
    assert os.listdir(paths.config) == ["settings.json"]


def test_unknown_keys_are_kept(paths: Paths) -> None:
    write(paths, '{"later": {"a": [1, null]}, "reachHost": false, "other": "ü"}')
    store = SettingsStore(paths)
    assert store.findings == ()
    store.set("portBinding", "localhost")
    store.set("reachHost", True)
    assert stored(paths) == {
        "later": {"a": [1, None]},
        "other": "ü",
        "portBinding": "localhost",
    }


def test_an_edit_by_hand_is_not_lost(paths: Paths) -> None:
    store = SettingsStore(paths)
    write(paths, '{"udpIdleSeconds": 5}')
    assert store.has_changed_on_disk()
    assert store.set("reachHost", False).udp_idle_seconds == 5
    assert stored(paths) == {"udpIdleSeconds": 5, "reachHost": False}
    assert not store.has_changed_on_disk()


@needs(SYMLINKS)
def test_a_link_to_the_file_stays_a_link(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    paths.settings_file.symlink_to(tmp_path / "dotfiles" / "settings.json")
    SettingsStore(paths).set("reachHost", False)
    assert paths.settings_file.is_symlink()
    assert (tmp_path / "dotfiles" / "settings.json").exists()


def test_a_wrong_value_is_refused_and_changes_nothing(paths: Paths) -> None:
    write(paths, '{"reachHost": false}')
    store = SettingsStore(paths)
    for key, value in (("ignore", ["x"]), ("nonsense", 1)):
        with pytest.raises(UsageError):
            store.set(key, value)
    assert paths.settings_file.read_text() == '{"reachHost": false}'


def test_a_value_that_was_handed_out_is_a_copy(paths: Paths) -> None:
    store = SettingsStore(paths)
    rules = ["tcp:1"]
    store.set("ignore", rules)
    rules.append("nonsense")
    value = store.entry("ignore").value
    assert isinstance(value, list)
    value.append("nonsense")
    assert store.entry("ignore").value == ["tcp:1"]


# Broken files


def test_a_wrong_value_in_the_file_leaves_the_default_in_force(paths: Paths) -> None:
    text = '{"ignore": ["tcp:1", "tcp:0"], "reachHost": false}'
    write(paths, text)
    store = SettingsStore(paths)
    assert (store.settings.ignore, store.settings.reach_host) == ((), False)
    (finding,) = store.findings
    assert f"{paths.settings_file}: ignore[1]" in finding.message
    assert "samehost settings set ignore" in finding.remedy
    assert paths.settings_file.read_text() == text


def test_a_wrong_value_in_the_file_is_kept_until_its_key_is_set(paths: Paths) -> None:
    write(paths, '{"reachHost": 1}')
    store = SettingsStore(paths)
    store.set("portBinding", "localhost")
    assert stored(paths) == {"reachHost": 1, "portBinding": "localhost"}
    store.set("reachHost", False)
    assert store.findings == ()
    assert stored(paths) == {"reachHost": False, "portBinding": "localhost"}


def test_setting_true_mends_a_one(paths: Paths) -> None:
    write(paths, '{"hostNetworkingEnabled": 1}')
    SettingsStore(paths).set("hostNetworkingEnabled", True)
    assert paths.settings_file.read_text() == '{\n  "hostNetworkingEnabled": true\n}\n'


def test_broken_json_is_reported_with_its_place(paths: Paths) -> None:
    write(paths, '{\n  "reachHost": false\n  "ignore": []\n}\n')
    store = SettingsStore(paths)
    (finding,) = store.findings
    assert str(paths.settings_file) in finding.message
    assert "line 3 column 3" in finding.message
    assert store.settings == Settings()


@pytest.mark.parametrize(
    "data",
    [b"[]", b"", b"\xff\xfe\x00", b"null", b"[" * 100_000, b"{}" + b" " * (1 << 20), b"9" * 5000],
)
def test_whatever_the_file_holds_is_a_finding_and_stays(paths: Paths, data: bytes) -> None:
    paths.settings_file.write_bytes(data)
    assert len(SettingsStore(paths).findings) == 1
    assert paths.settings_file.read_bytes() == data


@pytest.mark.parametrize("data", [b"", b'{"reachHost": fal', b"[]", b"\xff" * 9])
def test_a_file_that_breaks_changes_nothing_for_whoever_has_read_a_good_one(
    paths: Paths, data: bytes
) -> None:
    write(paths, '{"hostNetworkingEnabled": true, "ignore": ["tcp:7000"], "later": 1}')
    store = SettingsStore(paths)
    before = store.settings
    paths.settings_file.write_bytes(data)
    store.reload()
    assert store.settings == before
    assert str(paths.settings_file) in store.findings[0].message
    store.set("reachHost", False)
    assert stored(paths) == {
        "hostNetworkingEnabled": True,
        "ignore": ["tcp:7000"],
        "later": 1,
        "reachHost": False,
    }
    assert (paths.config / "settings.json.broken").read_bytes() == data


def test_a_broken_file_is_kept_aside_before_it_is_replaced(paths: Paths) -> None:
    for number, name in ((1, "settings.json.broken"), (2, "settings.json.broken.2")):
        broken = f'{{"reachHost": {number}'
        write(paths, broken)
        store = SettingsStore(paths)
        store.set("reachHost", False)
        assert (paths.config / name).read_text() == broken
        assert name in store.findings[-1].message
        assert stored(paths) == {"reachHost": False}


def test_that_a_broken_file_is_kept_is_said_until_it_is_removed(paths: Paths) -> None:
    write(paths, "{broken")
    store = SettingsStore(paths)
    store.set_differing({"machine": "sandbox", "alsoAttach": ["sandbox-b"]})
    (finding,) = store.findings
    kept = paths.config / "settings.json.broken"
    assert f"is kept as {kept}" in finding.message
    kept.unlink()
    assert store.has_changed_on_disk()
    store.reload()
    assert store.findings == ()


def test_a_broken_file_has_no_second_name_if_no_new_one_can_be_written(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(paths, "{broken")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SamehostError, match="No space left"):
        SettingsStore(paths).set("portBinding", "localhost")
    assert os.listdir(paths.config) == ["settings.json"]
    assert paths.settings_file.read_text() == "{broken"


def test_a_file_that_cannot_be_written_stays_as_it_is(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(paths, '{"reachHost": false}')

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    store = SettingsStore(paths)
    with pytest.raises(SamehostError, match="No space left") as caught:
        store.set("portBinding", "localhost")
    assert caught.value.remedy
    assert os.listdir(paths.config) == ["settings.json"]
    assert stored(paths) == {"reachHost": False}


def test_what_a_crash_left_does_not_hinder(paths: Paths) -> None:
    (paths.config / "settings.json.new").write_text('{"torn')
    SettingsStore(paths).set("reachHost", False)
    assert os.listdir(paths.config) == ["settings.json"]


@given(length=st.integers(0, 70))
@shared
def test_a_torn_file_is_reported_and_kept(paths: Paths, length: int) -> None:
    whole = '{"reachHost": false, "ignore": ["tcp:7000"], "later": {"x": "y"}}'
    write(paths, whole[:length])
    store = SettingsStore(paths)
    assert len(store.findings) == (length < len(whole))
    store.set("udpIdleSeconds", 7)
    texts = {file.read_text() for file in paths.config.iterdir()}
    for file in paths.config.iterdir():
        file.unlink()
    assert len(texts) == 1 if length >= len(whole) else whole[:length] in texts


GOOD = {
    "hostNetworkingEnabled": st.booleans(),
    "machine": st.none() | st.sampled_from(["sandbox", "sandbox-2"]),
    "reachHost": st.booleans(),
    "portBinding": st.sampled_from(["as-bound", "localhost"]),
    "ignore": st.lists(st.integers(1, 65535).map("udp:{}".format), max_size=3),
    "remap": st.dictionaries(
        st.integers(1, 65535).map("tcp:{}".format), st.integers(1, 65535), max_size=1
    ),
    "udpIdleSeconds": st.integers(1, 86400),
    "maxUdpFlows": st.integers(1, 65536),
    "udpPath": st.sampled_from(["auto", "portable"]),
    "ebpf": st.sampled_from(["auto", "off"]),
    "sandboxNetwork": st.sampled_from(["10.213.0.0/16", "192.168.4.0/24"]),
}
CHANGES = st.lists(
    st.sampled_from(sorted(GOOD)).flatmap(lambda key: st.tuples(st.just(key), GOOD[key])),
    max_size=8,
)
OTHERS = st.dictionaries(
    st.text().filter(lambda name: name not in KEYS),
    st.none() | st.integers() | st.text() | st.lists(st.booleans()),
    max_size=3,
)


@given(changes=CHANGES, others=OTHERS)
@shared
def test_the_last_choice_of_each_key_is_stored_and_nothing_else_changes(
    paths: Paths, changes: list[tuple[str, object]], others: dict[str, object]
) -> None:
    write(paths, json.dumps(others))
    for key, value in changes:
        SettingsStore(paths).set(key, value)
    chosen = dict(changes)
    expected = {key: value for key, value in chosen.items() if value != KEYS[key].default}
    assert stored(paths) == {**others, **expected}
    values = {entry.key: entry.value for entry in SettingsStore(paths).entries()}
    assert values == {name: chosen.get(name, key.default) for name, key in KEYS.items()}


# The administrator


def policy(paths: Paths, content: object) -> None:
    paths.admin.mkdir(exist_ok=True)
    paths.policy_file.write_text(content if isinstance(content, str) else json.dumps(content))


def test_a_locked_value_is_in_force_and_cannot_be_changed(paths: Paths) -> None:
    write(paths, '{"hostNetworkingEnabled": true}')
    policy(paths, {"hostNetworkingEnabled": {"locked": True, "value": False}})
    store = SettingsStore(paths)
    assert not store.settings.host_networking_enabled
    assert (store.switch.enabled, store.switch.locked) == (False, True)
    assert store.entry("hostNetworkingEnabled").lock == "administrator"
    with pytest.raises(PermissionDeniedError) as caught:
        store.set("hostNetworkingEnabled", True)
    assert str(paths.policy_file) in caught.value.message
    assert "administrator" in caught.value.remedy
    assert stored(paths) == {"hostNetworkingEnabled": True}


@pytest.mark.parametrize("key", sorted(KEYS))
def test_any_key_may_be_locked(paths: Paths, key: str) -> None:
    policy(paths, {key: {"locked": True, "value": KEYS[key].default}})
    store = SettingsStore(paths)
    assert str(paths.policy_file) in store.entry(key).locked
    with pytest.raises(PermissionDeniedError):
        store.set(key, KEYS[key].default)


def test_an_unlocked_value_is_the_default_of_who_never_chose(paths: Paths) -> None:
    policy(paths, {"hostNetworkingEnabled": {"locked": False, "value": True}})
    store = SettingsStore(paths)
    assert (store.switch.enabled, store.switch.locked) == (True, False)
    assert store.entry("hostNetworkingEnabled").default is True
    store.set("hostNetworkingEnabled", False)
    assert not SettingsStore(paths).switch.enabled
    assert stored(paths) == {"hostNetworkingEnabled": False}


@pytest.mark.parametrize(
    "content",
    [
        '{"hostNetworkingEnabled": {"locked": true, "value": ',
        '{"reachHost": {"locked": true, "value": 1}, "reachHost": {"locked": true, "value": true}}',
        '{"hostNetworkingEnabled": {"locked": false, "locked": true, "value": true}}',
        "[]",
        {"hostNetworkingEnabled": True},
        {"hostNetworkingEnabled": {"locked": "yes", "value": True}},
        {"hostNetworkingEnabled": {"locked": True}},
        {"hostNetworkingEnabled": {"locked": False, "value": 1}},
        {"ignore": {"locked": True, "value": ["nonsense"]}},
    ],
)
def test_a_broken_policy_locks_host_networking_off(paths: Paths, content: object) -> None:
    write(paths, '{"hostNetworkingEnabled": true}')
    policy(paths, content)
    store = SettingsStore(paths)
    assert (store.switch.enabled, store.switch.locked) == (False, True)
    assert str(paths.policy_file) in store.switch.reason
    assert store.entry("hostNetworkingEnabled").lock == "administrator"
    assert store.findings
    with pytest.raises(PermissionDeniedError):
        store.set("hostNetworkingEnabled", True)


def test_the_good_part_of_a_broken_policy_is_in_force(paths: Paths) -> None:
    policy(
        paths,
        {"ignore": 5, "portBinding": {"locked": True, "value": "localhost"}},
    )
    assert SettingsStore(paths).settings.port_binding == "localhost"


def test_a_policy_for_an_unknown_key_is_reported_and_locks_nothing(paths: Paths) -> None:
    policy(paths, {"later": {"locked": True, "value": 1}})
    store = SettingsStore(paths)
    assert 'unknown key "later"' in store.findings[0].message
    assert not store.switch.locked


def test_container_isolation_turns_host_networking_off(paths: Paths) -> None:
    store = SettingsStore(paths)
    store.set("hostNetworkingEnabled", True)
    store.set("enhancedContainerIsolation", True)
    assert (store.switch.enabled, store.switch.locked) == (False, True)
    assert "enhancedContainerIsolation" in store.switch.reason
    assert store.entry("hostNetworkingEnabled").lock == "isolation"
    with pytest.raises(PermissionDeniedError) as caught:
        store.set("hostNetworkingEnabled", True)
    assert "enhancedContainerIsolation false" in caught.value.remedy
    store.set("enhancedContainerIsolation", False)
    assert store.switch.enabled


def test_container_isolation_that_is_locked_is_the_administrators_affair(paths: Paths) -> None:
    policy(paths, {"enhancedContainerIsolation": {"locked": True, "value": True}})
    store = SettingsStore(paths)
    assert str(paths.policy_file) in store.switch.reason
    assert store.entry("hostNetworkingEnabled").lock == "isolation"
    with pytest.raises(PermissionDeniedError) as caught:
        store.set("hostNetworkingEnabled", True)
    assert caught.value.remedy == "ask the administrator of this computer"


def test_of_a_name_that_is_in_the_users_file_twice_the_last_one_counts(paths: Paths) -> None:
    write(paths, '{"reachHost": true, "reachHost": false}')
    store = SettingsStore(paths)
    assert (store.settings.reach_host, store.findings) == (False, ())


def test_an_engine_that_cannot_have_it_locks_host_networking_off(paths: Paths) -> None:
    policy(paths, {"hostNetworkingEnabled": {"locked": True, "value": True}})
    store = SettingsStore(paths)
    assert store.restrict("it runs Windows containers")
    assert not store.restrict("it runs Windows containers")
    assert (store.switch.enabled, store.switch.locked) == (False, True)
    assert store.switch.reason == "it runs Windows containers"
    assert store.entry("hostNetworkingEnabled").lock == "engine"
    with pytest.raises(PermissionDeniedError) as caught:
        store.set("hostNetworkingEnabled", True)
    assert "Linux containers" in caught.value.remedy
    assert store.restrict("")
    assert store.switch.enabled


def test_without_a_lock_there_is_no_kind_of_one(paths: Paths) -> None:
    assert {entry.lock for entry in SettingsStore(paths).entries()} == {""}


def test_a_check_says_what_setting_would_and_changes_nothing(paths: Paths) -> None:
    policy(paths, {"portBinding": {"locked": True, "value": "localhost"}})
    store = SettingsStore(paths)
    for key, value, kind in (
        ("nonsense", 1, UsageError),
        ("ignore", ["tcp:80-70"], UsageError),
        ("portBinding", "as-bound", PermissionDeniedError),
    ):
        with pytest.raises(kind) as checked:
            store.check(key, value)
        with pytest.raises(kind) as tried:
            store.set(key, value)
        assert (checked.value.message, checked.value.remedy) == (
            tried.value.message,
            tried.value.remedy,
        )
    store.check("ignore", ["tcp:70-80"])
    assert store.settings == SettingsStore(paths).settings
    assert not paths.settings_file.exists()
