"""Every key that an administrator locked, against every way in which somebody may change it.

One daemon whose administrator has locked all keys serves all these tests; none of them may have
changed anything for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from desktop.api.client import ApiClient
from desktop.api.server import ApiServer
from desktop.cli.main import main
from desktop.daemon.lock import DaemonLock
from desktop.errors import ExitCode, PermissionDeniedError
from desktop.paths import HOME_VARIABLE, Paths
from desktop.settings.keys import KEYS
from desktop.settings.store import SettingsStore
from link.version import PROTOCOL
from tests.daemon_world import PATIENCE, DaemonWorld
from tests.fake_machine import FakeRegistry
from tests.loops import new_other_loop
from tests.raw_client import raw_client

VALUES: Final[dict[str, tuple[Any, Any]]] = {
    "hostNetworkingEnabled": (False, True),
    "machine": ("sandbox", "sandbox-b"),
    "alsoAttach": ([], ["sandbox-b"]),
    "reachHost": (False, True),
    "portBinding": ("localhost", "as-bound"),
    "ignore": (["tcp:22"], []),
    "remap": ({"tcp:80": 8080}, {}),
    "udpIdleSeconds": (5, 90),
    "maxUdpFlows": (10, 1024),
    "udpPath": ("portable", "auto"),
    "ebpf": ("off", "auto"),
    "enhancedContainerIsolation": (False, True),
    "sandboxNetwork": ("10.99.0.0/16", "192.168.0.0/16"),
}
"""By key: what the administrator says, and what somebody would rather have."""

LOCKED: Final = {key: {"locked": True, "value": said} for key, (said, _) in VALUES.items()}
each_key = pytest.mark.parametrize("key", list(KEYS))


def administer(file: Path, content: object) -> None:
    """As an administrator does, whatever the umask is."""
    file.parent.mkdir(exist_ok=True)
    file.parent.chmod(0o755)
    file.write_text(json.dumps(content))
    file.chmod(0o644)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a name short enough for sockets, which is found by the environment."""
    with tempfile.TemporaryDirectory(prefix="sh-") as name:
        monkeypatch.setenv(HOME_VARIABLE, name)
        yield Path(name)


class Served:
    """A daemon in a thread, with a real control socket."""

    world: DaemonWorld

    def __init__(self, home: Path, registry: FakeRegistry) -> None:
        self.paths = Paths.under(home)
        self._registry = registry
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Event

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """While the block runs."""
        thread = threading.Thread(target=self._run, name="daemon")
        thread.start()
        try:
            assert self._ready.wait(PATIENCE)
            yield
        finally:
            self._loop.call_soon_threadsafe(self._ended.set)
            thread.join(PATIENCE)
        assert not thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=new_other_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self.world = DaemonWorld(self.paths.config, self._registry, is_on=False)
        with DaemonLock(self.paths.lock_file):
            async with self.world, ApiServer(self.paths.api_socket, self.world.daemon):
                self._ready.set()
                await self._ended.wait()

    def client(self) -> ApiClient:
        """A program that talks with it."""
        return ApiClient.connect(self.paths.api_socket)

    def values(self) -> dict[str, Any]:
        """What is in force, as the daemon says."""
        with self.client() as client:
            return {info["key"]: info["value"] for info in client.call("settings")}

    def until_read(self) -> None:
        """Wait until the daemon has seen what changed on the disk."""

        async def look() -> None:
            await self.world.until(lambda: not self.world.daemon._store.has_changed_on_disk())

        asyncio.run_coroutine_threadsafe(look(), self._loop).result(PATIENCE)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with (
        tempfile.TemporaryDirectory(prefix="sh-") as home,
        pytest.MonkeyPatch.context() as patch,
    ):
        registry = FakeRegistry("sandbox", "sandbox-b")
        patch.setattr("desktop.daemon.daemon.Registry", registry)
        patch.setattr("desktop.daemon.daemon.TICK_SECONDS", 0.02)
        patch.setenv(HOME_VARIABLE, home)
        one = Served(Path(home), registry)
        administer(one.paths.policy_file, LOCKED)
        with one.serving():
            yield one


@pytest.fixture
def unchanged(served: Served) -> Iterator[None]:
    """Whatever the test does, all that the administrator said is in force, and nothing is stored.

    Files that a person edits are the person's, and stay.
    """
    yield
    assert served.values() == {key: said for key, (said, _) in VALUES.items()}
    served.paths.settings_file.unlink(missing_ok=True)
    served.until_read()


def raw(served: Served, *messages: dict[str, Any]) -> dict[str, Any]:
    """What a program that keeps to no rules is answered last."""
    hello = {"hello": {"protocol": PROTOCOL, "version": "modified"}}
    with (
        raw_client(served.paths.api_socket, PATIENCE) as sock,
        sock.makefile("rb") as lines,
    ):
        for message in (hello, *messages):
            sock.sendall(json.dumps(message).encode() + b"\n")
        answers = [json.loads(lines.readline()) for _ in range(len(messages) + 1)]
    return dict(answers[-1])


def test_no_key_is_left_out_here() -> None:
    assert list(VALUES) == list(KEYS)
    assert all(said != wish for said, wish in VALUES.values())


@each_key
@pytest.mark.usefixtures("unchanged")
def test_the_command_line_does_not_change_a_locked_key(served: Served, key: str) -> None:
    wish = json.dumps(VALUES[key][1])
    assert main(["settings", "set", key, wish]) == ExitCode.PERMISSION
    assert not served.paths.settings_file.exists()


@each_key
@pytest.mark.usefixtures("unchanged")
def test_the_control_api_does_not_change_a_locked_key(served: Served, key: str) -> None:
    wanted = {"key": key, "value": VALUES[key][1]}
    with served.client() as client:
        for method in ("check_setting", "set_setting"):
            with pytest.raises(PermissionDeniedError, match="locked by the administrator"):
                client.call(method, wanted)


@each_key
@pytest.mark.usefixtures("unchanged")
def test_a_modified_client_does_not_change_a_locked_key(served: Served, key: str) -> None:
    wanted = {"key": key, "value": VALUES[key][1], "locked": "", "lock": "", "force": True}
    answer = raw(
        served,
        {"id": 1, "method": "settings", "params": {"unlock": True}},
        {"id": 2, "method": "set_setting", "params": wanted, "uid": 0},
    )
    assert answer["error"]["code"] == "PERMISSION"
    assert not served.paths.settings_file.exists()


@each_key
@pytest.mark.usefixtures("unchanged")
def test_an_edit_of_the_file_does_not_change_a_locked_key_of_a_running_daemon(
    served: Served, key: str
) -> None:
    served.paths.settings_file.write_text(json.dumps({key: VALUES[key][1]}))
    served.until_read()


@each_key
def test_an_edit_of_the_file_before_the_start_does_not_change_a_locked_key(
    home: Path, key: str
) -> None:
    said, wish = VALUES[key]
    paths = Paths.under(home)
    administer(paths.policy_file, {key: LOCKED[key]})
    paths.settings_file.write_text(json.dumps({key: wish}))
    entry = SettingsStore(paths).entry(key)
    assert (entry.value, entry.lock) == (said, "administrator")


@each_key
def test_the_command_line_does_not_change_a_locked_key_without_a_daemon(
    home: Path, key: str
) -> None:
    paths = Paths.under(home)
    administer(paths.policy_file, {key: LOCKED[key]})
    assert main(["settings", "set", key, json.dumps(VALUES[key][1])]) == ExitCode.PERMISSION
    assert not paths.settings_file.exists()


VARIABLES: Final = (HOME_VARIABLE, "HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS")


@each_key
@pytest.mark.parametrize("variable", VARIABLES)
def test_no_environment_changes_a_locked_key(
    home: Path, key: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.paths.admin_directory", lambda: home / "etc")
    monkeypatch.setattr("desktop.settings.ownership.ADMINISTRATOR", os.geteuid())
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(home / "my"))
    monkeypatch.setenv(key, json.dumps(VALUES[key][1]))
    administer(home / "etc" / "admin-settings.json", {key: LOCKED[key]})
    paths = Paths.find()
    if variable == HOME_VARIABLE:  # where a person could be an administrator, too
        paths.config.mkdir()
        administer(paths.policy_file, {key: {"locked": True, "value": VALUES[key][1]}})
    store = SettingsStore(paths)
    assert store.entry(key).value == VALUES[key][0]
    with pytest.raises(PermissionDeniedError):
        store.set(key, VALUES[key][1])


# Keys that are changed by the way


ASIDE: Final[dict[str, dict[str, object]]] = {
    "set_enabled": {"enabled": True},
    "attach": {"machine": "sandbox-b"},
    "attach_also": {"name": "sandbox-b"},
    "use": {"name": "sandbox-b"},
}


@pytest.mark.parametrize("method", list(ASIDE))
@pytest.mark.usefixtures("unchanged")
def test_no_other_request_changes_a_locked_key(served: Served, method: str) -> None:
    with served.client() as client, pytest.raises(PermissionDeniedError):
        client.call(method, ASIDE[method])
    assert served.world.daemon._attachments.names() == []


@pytest.mark.parametrize(
    "words",
    [
        ["enable"],
        ["machine", "use", "sandbox-b"],
        ["machine", "attach", "sandbox-b"],
        ["up", "--machine", "sandbox-b"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("unchanged")
def test_no_other_command_changes_a_locked_key(words: list[str]) -> None:
    assert main(words) == ExitCode.PERMISSION


def test_a_locked_list_of_machines_keeps_its_machines(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = FakeRegistry("sandbox", "sandbox-b")
    monkeypatch.setattr("desktop.daemon.daemon.Registry", registry)
    administer(
        Paths.under(home).policy_file,
        {"alsoAttach": {"locked": True, "value": ["sandbox-b"]}},
    )

    async def story() -> None:
        async with DaemonWorld(home, registry) as world:
            await world.daemon.attach(None, print)
            with pytest.raises(PermissionDeniedError):
                await world.daemon.detach("sandbox-b", print)
            assert list(world.attached()) == ["sandbox", "sandbox-b"]

    asyncio.run(story())


@pytest.mark.parametrize("words", [["use", "sandbox-b"], ["detach", "sandbox-c"]], ids=" ".join)
def test_without_a_daemon_a_change_of_two_keys_is_refused_as_a_whole(
    home: Path, words: list[str]
) -> None:
    administer(
        Paths.under(home).policy_file,
        {"alsoAttach": {"locked": True, "value": ["sandbox-b", "sandbox-c"]}},
    )
    assert main(["machine", *words]) == ExitCode.PERMISSION
    assert not Paths.under(home).settings_file.exists()


def test_a_locked_machine_does_not_keep_others_from_being_attached_beside_it(home: Path) -> None:
    paths = Paths.under(home)
    administer(paths.policy_file, {"machine": {"locked": True, "value": "sandbox"}})
    assert main(["machine", "attach", "sandbox-b"]) == ExitCode.DONE
    assert json.loads(paths.settings_file.read_text()) == {"alsoAttach": ["sandbox-b"]}


# What is not locked is a default


@each_key
def test_an_unlocked_value_is_the_default_of_who_never_chose_it(home: Path, key: str) -> None:
    said, wish = VALUES[key]
    if said == KEYS[key].default:
        said, wish = wish, said
    paths = Paths.under(home)
    administer(paths.policy_file, {key: {"locked": False, "value": said}})
    store = SettingsStore(paths)
    entry = store.entry(key)
    assert (entry.value, entry.default, entry.lock) == (said, said, "")
    store.set(key, wish)
    assert json.loads(paths.settings_file.read_text()) == {key: wish}
    assert SettingsStore(paths).entry(key).value == wish
    store.set(key, said)
    assert json.loads(paths.settings_file.read_text()) == {}
