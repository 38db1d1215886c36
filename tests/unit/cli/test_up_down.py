"""`up` and `down`: daemons that start, refuse, die, hang and leave things behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from desktop.api.client import ApiClient
from desktop.api.connection import Limits
from desktop.api.fake import FakeMachine
from desktop.api.socketfile import bind
from desktop.cli.launch import start_daemon
from desktop.cli.stopping import stop_daemon
from desktop.daemon.lock import DaemonLock
from desktop.daemon.main import Foreground
from desktop.errors import ConflictError, NotRunningError
from desktop.paths import HOME_VARIABLE, Paths
from link.version import VERSION
from tests.capabilities import LINUX_KERNEL, POSIX_FILES, UNIX_SOCKETS, needs
from tests.ended import ended
from tests.served_backend import PATIENCE, ServedBackend
from tests.unit.cli.conftest import Command, WordRegistry

ROOT = Path(__file__).parents[3]
STUB = [sys.executable, "-m", "tests.unit.cli.stub_daemon"]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, registry: WordRegistry) -> Callable[[str], None]:
    """Puts the stub in the daemon's place, and says what it does."""
    assert registry.names()
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("desktop.cli.launch.COMMAND", STUB)
    return lambda mode: monkeypatch.setenv("STUB", mode)


def is_running(paths: Paths) -> bool:
    try:
        ApiClient.connect(paths.api_socket).close()
    except NotRunningError:
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


# Starting


@pytest.mark.usefixtures("without_machine")
def test_up_of_a_daemon_that_knows_no_machine_says_how_to_attach_one(samehost: Command) -> None:
    result = samehost("up", "--no-machine")
    assert result.out.startswith("no machine is attached; host networking is off")
    assert "samehost machine attach NAME" in result.err


def test_up_starts_and_down_ends_and_nothing_is_left(
    samehost: Command, stub: Callable[[str], None], paths: Paths
) -> None:
    stub("ready")
    result = samehost("up")
    assert result.code == 0
    assert result.out == (
        "sandbox is connected; host networking is off (turn it on: samehost enable)\n"
    )
    assert result.err == "starting sandbox\n"
    assert is_running(paths)
    assert "a line in the log" in samehost("logs").out
    result = samehost("down")
    assert (result.code, result.out) == (0, "Samehost has stopped.\n")
    assert not is_running(paths)
    assert os.listdir(paths.config) == ["logs"]


def test_up_with_a_daemon_attaches_only_and_says_so(
    samehost: Command, served: ServedBackend
) -> None:
    served.run(served.backend.set_enabled(True))
    result = samehost("up", "--machine", "sandbox")
    assert (result.code, result.out) == (0, "sandbox is connected; host networking is on\n")
    assert "runs already" in result.err


def test_up_says_that_the_daemon_that_runs_is_of_another_version(
    samehost: Command, served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert served.backend.calls == []
    assert "version" not in samehost("up", "--no-machine").err
    monkeypatch.setattr("desktop.cli.up.VERSION", "99.0.0")
    result = samehost("up", "--no-machine")
    assert result.code == 0
    assert f"it is version {VERSION}, this command 99.0.0; to restart it:" in result.err


def test_up_joins_the_daemon_that_another_up_has_just_started(
    samehost: Command, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as stack:

        def start(_: Paths) -> None:
            stack.enter_context(ServedBackend(paths.config))
            raise ConflictError("Samehost is running already")

        monkeypatch.setattr("desktop.cli.up.start_daemon", start)
        result = samehost("up")
        assert result.code == 0
        assert "sandbox is connected" in result.out
        assert "runs already" in result.err
        assert is_running(paths)


def test_up_waits_for_a_daemon_that_ends_and_starts_another(
    samehost: Command,
    stub: Callable[[str], None],
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stub("ready")
    with contextlib.ExitStack() as stack:
        ending = stack.enter_context(ServedBackend(paths.config)).backend
        ending.is_ending = True

        def end(_: float) -> None:
            monkeypatch.setattr("desktop.cli.daemon.time", time)
            stack.close()

        monkeypatch.setattr(
            "desktop.cli.daemon.time", SimpleNamespace(sleep=end, monotonic=time.monotonic)
        )
        result = samehost("up")
    assert (result.code, ending.calls) == (0, [])
    assert result.out.startswith("sandbox is connected")
    assert result.err == "samehost: Samehost is ending; waiting for that\nstarting sandbox\n"
    assert samehost("down").code == 0


@pytest.mark.parametrize("options", [(), ("--foreground",)])
def test_up_gives_up_on_a_daemon_that_ends_without_end(
    samehost: Command,
    served: ServedBackend,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    served.backend.is_ending = True
    monkeypatch.setattr("desktop.cli.daemon.STOP_SECONDS", 0.0)
    result = samehost("up", *options)
    assert (result.code, result.out) == (1, "")
    assert "has not ended" in result.err


def test_up_tries_again_when_a_down_has_the_lock_for_a_moment(
    samehost: Command,
    stub: Callable[[str], None],
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stub("ready")

    def held(_: Paths) -> None:
        monkeypatch.setattr("desktop.cli.up.start_daemon", start_daemon)
        raise ConflictError("Samehost is running already")

    monkeypatch.setattr("desktop.cli.up.start_daemon", held)
    result = samehost("up")
    assert result.code == 0
    assert is_running(paths)
    assert samehost("down").code == 0


@pytest.mark.parametrize(
    "words",
    ["enable", "settings set reachHost false", "machine stop sandbox", "up"],
)
def test_a_daemon_that_does_not_serve_yet_is_waited_for(
    samehost: Command, paths: Paths, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    lock = DaemonLock(paths.lock_file)
    lock.acquire()
    with contextlib.ExitStack() as stack:

        def begin(_: float) -> None:
            lock.release()
            stack.enter_context(ServedBackend(paths.config))

        monkeypatch.setattr(
            "desktop.cli.daemon.time", SimpleNamespace(sleep=begin, monotonic=time.monotonic)
        )
        result = samehost(*words.split())
        assert is_running(paths)
    assert result.code == 0
    assert "at the next: samehost up" not in result.out


def test_up_without_a_machine_starts_the_daemon_only(
    samehost: Command, stub: Callable[[str], None], paths: Paths
) -> None:
    stub("ready")
    result = samehost("up", "--no-machine")
    assert result.code == 0
    assert result.out == (
        "sandbox is not attached; host networking is off (turn it on: samehost enable)\n"
    )
    assert result.err == ""
    assert is_running(paths)
    assert samehost("down").code == 0


def test_up_without_a_machine_leaves_a_daemon_that_runs_as_it_is(
    samehost: Command, served: ServedBackend
) -> None:
    result = samehost("up", "--no-machine")
    assert result.code == 0
    assert "runs already" in result.err
    assert served.backend.calls == []


def test_a_machine_and_no_machine_is_a_usage_error(samehost: Command, paths: Paths) -> None:
    assert samehost("up", "--no-machine", "--machine", "sandbox").code == 2
    assert not is_running(paths)


def test_up_attaches_the_other_machines_of_the_settings_and_says_which_it_could_not(
    samehost: Command, served: ServedBackend
) -> None:
    served.backend.machine_states["sandbox-b"] = FakeMachine("sandbox-b")
    served.run(served.backend.set_setting("alsoAttach", ["sandbox-b", "mars"]))
    result = samehost("up")
    assert result.code == 0
    assert result.out.startswith("sandbox is connected, sandbox-b is connected; ")
    assert "samehost: mars: unknown machine" in result.err


def test_up_with_an_unknown_machine_is_a_usage_error_and_leaves_the_daemon(
    samehost: Command, served: ServedBackend, paths: Paths
) -> None:
    assert served.backend.current == "sandbox"
    assert samehost("up", "--machine", "mars").code == 2
    assert is_running(paths)


def test_a_daemon_that_refuses_says_why(
    samehost: Command, stub: Callable[[str], None], paths: Paths
) -> None:
    stub("refuse")
    result = samehost("up")
    assert result.code == 5
    assert result.err == "samehost: the sandbox needs root\n  use sudo\n"
    assert os.listdir(paths.config) == ["logs"]


def test_a_daemon_that_dies_is_explained_by_its_log(
    samehost: Command, stub: Callable[[str], None], paths: Paths
) -> None:
    paths.logs.mkdir()
    paths.log_file.write_text("an old line\n")
    stub("die")
    result = samehost("up")
    assert result.code == 1
    assert "a last word" in result.err
    assert "an old line" not in result.err


@needs(LINUX_KERNEL)
def test_a_daemon_that_hangs_is_ended(
    samehost: Command, stub: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stub("hang")
    monkeypatch.setattr("desktop.cli.launch.READY_SECONDS", 0.1)
    children = processes()
    result = samehost("up")
    assert result.code == 1
    assert "not ready within" in result.err
    assert processes() == children


def processes() -> set[int]:
    """Our children."""
    return {each.pid for each in psutil.Process().children()}


def test_an_up_that_cannot_attach_stops_what_it_started(
    samehost: Command, stub: Callable[[str], None], paths: Paths
) -> None:
    stub("sick")
    result = samehost("up", "--machine", "mars")
    assert result.code == 4
    assert "no way to mars" in result.err
    assert "buy one" in result.err
    assert not is_running(paths)
    assert os.listdir(paths.config) == ["logs"]


@needs(LINUX_KERNEL)
@pytest.mark.parametrize(("mode", "word"), [("slow", "starting sandbox"), ("hang", "")])
@pytest.mark.usefixtures("registry")
def test_ctrl_c_during_up_stops_what_was_started(paths: Paths, mode: str, word: str) -> None:
    code = (
        "import signal, sys, desktop.cli.launch as launch;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"  # ignored behind a shell's &
        f"launch.COMMAND = {STUB!r};"
        "from desktop.cli.main import main; sys.exit(main(['up']))"
    )
    up = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "STUB": mode},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with ended(up) as process:
        assert process.stderr is not None
        if word:
            assert process.stderr.readline() == word + "\n"
        else:
            wait_until(lambda: has_child(process.pid))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not is_running(paths)
    assert os.listdir(paths.config) == ["logs"]
    if word:
        assert "cancelled sandbox" in paths.log_file.read_text()


def has_child(pid: int) -> bool:
    """True once the process has a child that runs another program."""
    return any("stub_daemon" in " ".join(each.cmdline()) for each in psutil.Process(pid).children())


def test_foreground_with_a_daemon_is_a_conflict(samehost: Command, served: ServedBackend) -> None:
    result = samehost("up", "--foreground")
    assert result.code == 6
    assert "samehost down" in result.err
    assert served.backend.calls == []


def test_foreground_runs_the_daemon_in_this_process(
    samehost: Command, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def run(
        paths: Paths, ready: Callable[[], None] | None = None, foreground: Foreground | None = None
    ) -> int:
        assert foreground is not None
        foreground.say("attaching")
        calls.append((paths, ready, foreground.machine))
        return 7

    monkeypatch.setattr("desktop.daemon.main.run", run)
    result = samehost("up", "--foreground", "--machine", "mars")
    assert (result.code, calls) == (7, [(paths, None, "mars")])
    assert "attaching" in result.err


def test_foreground_without_a_machine_says_when_it_is_ready(
    samehost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(
        _: Paths, ready: Callable[[], None] | None = None, foreground: Foreground | None = None
    ) -> int:
        assert ready is not None
        assert foreground is None
        ready()
        return 0

    monkeypatch.setattr("desktop.daemon.main.run", run)
    result = samehost("up", "--foreground", "--no-machine")
    assert (result.code, result.out) == (0, "")
    assert "Ctrl-C ends it" in result.err


# Ending


def test_down_without_anything_says_so(
    samehost: Command, registry: WordRegistry, paths: Paths
) -> None:
    result = samehost("down")
    assert (result.code, result.out) == (0, "Samehost was not running.\n")
    assert registry.stopped == ["sandbox", "sandbox-b"]
    assert os.listdir(paths.config) == []


@needs(UNIX_SOCKETS)
def test_down_removes_what_a_killed_daemon_left(
    samehost: Command, registry: WordRegistry, paths: Paths
) -> None:
    bind(paths.api_socket).close()
    paths.lock_file.write_text("4711")
    (paths.state / "machines").mkdir(parents=True)
    registry.running.add("sandbox-b")
    result = samehost("down")
    assert result.code == 0
    assert "stopped what was left: sandbox-b" in result.out
    assert registry.running == set()
    assert os.listdir(paths.config) == []


@pytest.mark.usefixtures("registry")
def test_down_says_what_goes_on_and_waits_for_the_end(
    samehost: Command, served: ServedBackend
) -> None:
    result = samehost("down")
    assert result.code == 0
    assert result.err.splitlines()[0] == "closing every mirror"
    served.join()
    assert served.backend.calls == ["shutdown"]


@pytest.mark.usefixtures("registry")
def test_down_ends_a_daemon_of_another_version_by_a_signal(
    samehost: Command, stub: Callable[[str], None], paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub("ready")
    assert samehost("up").code == 0
    monkeypatch.setattr("desktop.api.client.PROTOCOL", 99)
    assert samehost("status").code == 7
    result = samehost("down")
    assert result.code == 0
    assert "by a signal" in result.err
    monkeypatch.undo()
    assert not paths.api_socket.exists()


@pytest.mark.usefixtures("registry")
def test_down_ends_a_daemon_that_takes_no_more_clients_by_a_signal(
    samehost: Command, stub: Callable[[str], None], paths: Paths
) -> None:
    stub("ready")
    assert samehost("up").code == 0
    with contextlib.ExitStack() as others:
        for _ in range(Limits().clients):
            others.enter_context(ApiClient.connect(paths.api_socket))
        result = samehost("down")
    assert (result.code, result.out) == (0, "Samehost has stopped.\n")
    assert "more than 64 programs talk with the daemon already: ending it" in result.err


@needs(POSIX_FILES)
@pytest.mark.parametrize(("number", "is_killed"), [("SIGSTOP", False), ("SIGHUP", True)])
@pytest.mark.usefixtures("registry")
def test_down_ends_a_daemon_that_answers_nothing(
    samehost: Command,
    stub: Callable[[str], None],
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    number: str,
    is_killed: bool,
) -> None:
    stub("ready")
    assert samehost("up").code == 0
    os.kill(int(paths.lock_file.read_text()), getattr(signal, number))
    monkeypatch.setattr("desktop.api.client.HELLO_SECONDS", 0.1)
    if is_killed:
        monkeypatch.setattr("desktop.cli.stopping.HANG_SECONDS", 0.1)
    result = samehost("down")
    assert (result.code, result.out) == (0, "Samehost has stopped.\n")
    assert "does not answer: ending it by a signal" in result.err
    assert ("killing it" in result.err) == is_killed
    assert not paths.api_socket.exists()


@pytest.mark.usefixtures("registry")
def test_down_also_ends_a_daemon_that_begins_at_the_same_moment(
    samehost: Command, served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_too_soon(paths: Paths, progress: Callable[[str], None]) -> bool:
        monkeypatch.undo()
        monkeypatch.setenv(HOME_VARIABLE, str(paths.config))
        assert served.backend.calls == []
        progress("none seen")
        return False

    monkeypatch.setattr("desktop.cli.down.stop_daemon", stop_too_soon)
    result = samehost("down")
    assert (result.code, result.out) == (0, "Samehost has stopped.\n")
    served.join()


@pytest.mark.usefixtures("registry")
def test_down_leaves_alone_a_daemon_that_begins_once_the_first_has_ended(
    samehost: Command, served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.cli.down.stop_daemon", lambda _paths, _progress: True)
    result = samehost("down")
    assert (result.code, result.out) == (0, "Samehost has stopped.\n")
    assert "another has been started since" in result.err
    assert served.backend.calls == []


def test_another_process_that_holds_the_lock_is_not_the_daemon_that_was_told(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    holders = iter(["11", "11", "12"])
    told: list[Paths] = []

    def ask(paths: Paths, _: object) -> bool:
        told.append(paths)
        return True

    monkeypatch.setattr("desktop.cli.stopping.holder", lambda _: next(holders))
    monkeypatch.setattr("desktop.cli.stopping._ask_to_stop", ask)
    assert stop_daemon(paths, lambda _line: None)
    assert told == [paths]
    assert next(holders, None) is None


@pytest.mark.usefixtures("registry")
def test_down_gives_up_on_a_daemon_that_does_not_end(
    samehost: Command, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.cli.stopping.STOP_SECONDS", 0.1)
    with DaemonLock(paths.lock_file):
        result = samehost("down")
    assert result.code == 1
    assert "has not ended" in result.err


@needs(UNIX_SOCKETS)
def test_a_daemon_that_answers_nothing_is_not_waited_for_without_end(
    samehost: Command, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.api.client.HELLO_SECONDS", 0.1)
    with bind(paths.api_socket):
        result = samehost("status")
    assert result.code == 1
    assert "does not answer" in result.err


def test_a_lock_can_be_taken_again_after_its_holder_was_killed(paths: Paths) -> None:
    code = (
        "import sys, time; from pathlib import Path; from desktop.daemon.lock import DaemonLock;"
        "DaemonLock(Path(sys.argv[1])).acquire(); print(flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(paths.lock_file)]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert paths.lock_file.read_text() == str(process.pid)
    with DaemonLock(paths.lock_file):
        assert paths.lock_file.read_text() == str(os.getpid())
    assert not paths.lock_file.exists()


def test_a_second_lock_is_refused_and_names_the_holder(paths: Paths) -> None:
    with DaemonLock(paths.lock_file), pytest.raises(ConflictError) as caught:
        DaemonLock(paths.lock_file).acquire()
    assert str(os.getpid()) in caught.value.message


@needs(POSIX_FILES)
def test_a_lock_on_a_file_that_was_removed_meanwhile_is_none(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    flock = fcntl.flock
    removals = [paths.lock_file.unlink]

    def late(descriptor: int, operation: int) -> None:
        while removals:
            removals.pop()()
        flock(descriptor, operation)

    monkeypatch.setattr("fcntl.flock", late)
    with DaemonLock(paths.lock_file):
        assert paths.lock_file.exists()
        with pytest.raises(ConflictError):
            DaemonLock(paths.lock_file).acquire()
