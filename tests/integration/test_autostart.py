"""`samehost autostart` with systemd's real user manager: from turning on to after turning off."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from desktop.autostart.interface import Done, Service
from desktop.autostart.systemd import SystemdAutostart
from desktop.errors import ExitCode
from desktop.machines.sandbox.traces import Traces
from tests.integration.samehost import Samehost, free_port, talk, until
from tests.integration.servers import GREETER
from tests.integration.user_manager import Account, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "-")

UNIT: Final = "samehost.service"
BOOT_SECONDS: Final = 60.0
"""Until a daemon has a sandbox; takes 4 on an idle computer."""

ODD: Final = ("", "a b", "100%", "%h", "$HOME", "${HOME}", "$$", '"', "'", "\\", "\\n", ";", "é #")
"""Words that systemd.syntax(7) reads as something else where they are not quoted."""

WRITES_WHAT_IT_GOT: Final = """
import json, os, pathlib, sys
path, *words = sys.argv[1:]
new = pathlib.Path(path + ".new")
new.write_text(json.dumps([words, os.environ["SAMEHOST_HOME"]]))
new.rename(path)
"""


@pytest.fixture
def samehost() -> Iterator[Samehost]:
    made = Samehost()
    yield made
    made.remove()


@pytest.fixture
def account(short_home: Path) -> Account:
    return Account(short_home)


def autostart(samehost: Samehost, account: Account, what: str) -> bool:
    """Do it as that user; whether it is on then."""
    done = subprocess.run(
        samehost.command("autostart", what, "--json"),
        env={**account.environment, "SAMEHOST_HOME": str(samehost.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return bool(json.loads(done.stdout)["on"])


def choose(samehost: Samehost, **settings: object) -> None:
    (samehost.home / "settings.json").write_text(json.dumps(settings))


def machine_state(samehost: Samehost) -> str:
    """In its own word; empty as long as there is no daemon."""
    done = samehost.try_run("status", "--json")
    state: Any = json.loads(done.stdout)["machine"]["state"] if done.returncode == 0 else ""
    return str(state)


def test_what_is_turned_on_runs_from_log_in_to_log_out_until_it_is_turned_off(
    samehost: Samehost, account: Account
) -> None:
    choose(samehost, hostNetworkingEnabled=True, machine="sandbox")
    with account.session():
        assert not autostart(samehost, account, "status")
        assert autostart(samehost, account, "on")
        assert account.properties(UNIT, "ActiveState") == {"ActiveState": "inactive"}
    with account.session():
        until(lambda: machine_state(samehost) == "connected", "the link", BOOT_SECONDS)
        running = account.properties(UNIT, "ActiveState", "MainPID")
        assert running == {"ActiveState": "active", "MainPID": str(samehost.daemon())}
        samehost.load_image()
        port = free_port()
        samehost.start_python(GREETER, "127.0.0.1", str(port), "", "hello")
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        assert talk("127.0.0.1", port) == b"hello"
        assert not autostart(samehost, account, "off")
        assert samehost.states(port) == ["active"], "nothing ends at once"
    assert samehost.try_run("status").returncode == ExitCode.NOT_RUNNING
    with pytest.raises(ConnectionRefusedError):
        talk("127.0.0.1", port)
    assert not Traces.of(samehost.paths.machine("sandbox"), "sandbox").exist()
    assert samehost.paths.log_file.read_text().endswith("samehost ends\n"), "it had its time"
    with account.session():
        assert account.properties(UNIT, "LoadState") == {"LoadState": "not-found"}
    assert samehost.try_run("status").returncode == ExitCode.NOT_RUNNING


def test_a_daemon_that_dies_is_started_again_and_one_whose_place_is_taken_is_not(
    samehost: Samehost, account: Account
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, account.session():
        machine = f"ssh:ada@127.0.0.1:{silent.getsockname()[1]}"  # for which it waits
        choose(samehost, hostNetworkingEnabled=True, machine=machine)
        autostart(samehost, account, "on")
        account.systemctl("start", UNIT)
        until(lambda: machine_state(samehost), "the daemon")
        os.kill(samehost.daemon(), signal.SIGKILL)
        names = ("SubState", "Result", "ExecMainStatus")
        again = {"SubState": "auto-restart", "Result": "signal", "ExecMainStatus": "9"}
        until(lambda: account.properties(UNIT, *names) == again, "another try")
        account.systemctl("stop", UNIT)
        samehost.run("up", "--no-machine")
        account.systemctl("start", UNIT)
        never = {"SubState": "failed", "Result": "exit-code", "ExecMainStatus": "6"}
        until(lambda: account.properties(UNIT, *names) == never, "the end of it")
        autostart(samehost, account, "off")


def test_the_manager_reads_every_word_and_folder_as_it_was_meant(
    account: Account, tmp_path: Path
) -> None:
    got, home = tmp_path / "got", "/srv/100% of $HOME\\'\"/é"

    def run(command: Sequence[str]) -> Done:
        assert command[0] == "systemctl"
        return account.systemctl(*command[2:])

    command = (sys.executable, "-c", WRITES_WHAT_IT_GOT, str(got), *ODD)
    with account.session():
        autostart = SystemdAutostart(run, account.environment, packaged=())
        autostart.turn_on(Service(command, {"SAMEHOST_HOME": home}))
        account.systemctl("start", UNIT)
        until(got.exists, "what it got")
        assert json.loads(got.read_text()) == [list(ODD), home]
        autostart.turn_off()
        assert not autostart.status().is_on
