"""What goes wrong is survived, said plainly, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.machines.sandbox import Sandbox
from tests.ended import ended
from tests.integration.conftest import require_root
from tests.integration.samehost import Samehost, free_port, says, until
from tests.integration.servers import GREETER


@pytest.fixture
def samehost() -> Iterator[Samehost]:
    require_root()
    samehost = Samehost()
    try:
        yield samehost
    finally:
        samehost.remove()


def process_of(*words: str) -> int | None:
    """The first process whose command line has all these words."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if all(word in line for word in words) and int(entry.name) != os.getpid():
            return int(entry.name)
    return None


def daemon_of(samehost: Samehost) -> int:
    return int(samehost.paths.lock_file.read_text())


def leftovers(samehost: Samehost) -> list[str]:
    """What a Samehost has on this computer, apart from its settings and logs."""
    home = str(samehost.home)
    found = [line for line in Path("/proc/self/mounts").read_text().splitlines() if home in line]
    # What goes meanwhile is no reason for os.walk to fail.
    found += [
        str(Path(above, name))
        for above, names, _ in os.walk(home)
        for name in names
        if name != "logs"
    ]
    if process_of(home) is not None:
        found.append("a process")
    traces = Sandbox("sandbox", samehost.paths)._traces
    if traces.interface in os.listdir("/sys/class/net"):
        found.append(traces.interface)
    return found


def test_a_killed_agent_is_replaced_and_its_mirrors_return(samehost: Samehost) -> None:
    samehost.run("up")
    samehost.run("enable")
    samehost.load_image()
    port = free_port()
    with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "still me") as container:
        until(lambda: says(port) == b"still me", "the mirror")
        agent = until(lambda: process_of("agent.pyz", str(samehost.home)), "the agent")
        os.kill(agent, signal.SIGKILL)
        until(
            lambda: process_of("agent.pyz", str(samehost.home)) not in (None, agent),
            "another agent",
        )
        until(lambda: samehost.states(port) == ["active"], "the mirror to return")
        assert says(port) == b"still me"
        assert samehost.docker("inspect", "-f", "{{.RestartCount}}", container) == "0"


def test_a_killed_daemon_leaves_no_port_and_the_next_finds_everything(samehost: Samehost) -> None:
    samehost.run("up")
    samehost.run("enable")
    samehost.load_image()
    port = free_port()
    with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "still me") as container:
        until(lambda: says(port) == b"still me", "the mirror")
        os.kill(daemon_of(samehost), signal.SIGKILL)
        until(lambda: says(port) == b"", "the port to be free")
        assert samehost.try_run("status").returncode == 3
        samehost.run("up")
        until(lambda: says(port) == b"still me", "the mirror to return")
        assert container.startswith(samehost.docker("ps", "-q"))


def test_down_after_a_killed_daemon_cleans_the_machine(samehost: Samehost) -> None:
    samehost.run("up")
    assert leftovers(samehost)
    os.kill(daemon_of(samehost), signal.SIGKILL)
    samehost.run("down")
    until(lambda: leftovers(samehost) == [], f"nothing to be left: {leftovers(samehost)}")


def test_a_removed_runtime_folder_is_made_anew_and_mirrors_do_not_notice(
    samehost: Samehost,
) -> None:
    samehost.run("up")
    samehost.run("enable")
    samehost.load_image()
    port = free_port()
    with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "still me"):
        until(lambda: says(port) == b"still me", "the mirror")
        daemon = samehost.daemon()
        shutil.rmtree(samehost.paths.runtime)
        assert says(port) == b"still me"
        until(lambda: samehost.try_run("status").returncode == 0, "the status")
        samehost.run("up")
        assert samehost.daemon() == daemon
        assert samehost.states(port) == ["active"]
    samehost.run("down")
    until(lambda: leftovers(samehost) == [], f"nothing to be left: {leftovers(samehost)}")


def test_down_leaves_nothing_but_settings_and_logs(samehost: Samehost) -> None:
    samehost.run("up")
    samehost.run("enable")
    samehost.run("down")
    until(lambda: leftovers(samehost) == [], f"nothing to be left: {leftovers(samehost)}")
    assert json.loads((samehost.home / "settings.json").read_text()) == {
        "hostNetworkingEnabled": True
    }


@pytest.mark.parametrize("moment", [0.05, 0.25, 0.5])
def test_an_interrupted_up_leaves_nothing(
    samehost: Samehost, moment: float, tmp_path: Path
) -> None:
    with (tmp_path / "errors").open("wb") as errors:
        up = subprocess.Popen(
            samehost.command("up"),
            env=samehost.environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    timer = threading.Timer(moment, os.killpg, (up.pid, signal.SIGINT))
    with ended(up):
        timer.start()
        code = up.wait(60)
        timer.cancel()
        timer.join()
    if code == 1:  # Python ends so while it starts itself
        assert "\nKeyboardInterrupt" in (tmp_path / "errors").read_text()
    else:
        assert code in (0, 130, -signal.SIGINT)
    if code == 0:
        samehost.run("down")
    until(lambda: leftovers(samehost) == [], f"nothing to be left: {leftovers(samehost)}")


def test_two_samehosts_live_side_by_side(samehost: Samehost) -> None:
    other = Samehost()
    try:
        port = free_port()
        for one in (samehost, other):
            one.run("up")
            one.run("enable")
            one.load_image()
        with samehost.python(GREETER, "127.0.0.1", str(port), "v6only", "the first"):
            until(lambda: says(port) == b"the first", "the mirror")
            assert samehost.states(port) == ["active"]
            until(lambda: other.states(port, "host") == ["active"], "the other's stub")
        other.run("down")
        assert samehost.status()["machine"]["state"] == "connected"
    finally:
        other.remove()


def test_a_machine_that_dies_is_said_and_comes_back(samehost: Samehost) -> None:
    samehost.run("up")
    samehost.run("enable")
    record = samehost.paths.machine("sandbox")
    process = until(lambda: process_of("dockerd", str(record)), "the engine")
    samehost.run("machine", "stop", "sandbox")
    assert samehost.status()["machine"]["state"] == "stopped"
    until(lambda: not Path(f"/proc/{process}").exists(), "the engine to end")
    samehost.run("up")
    assert samehost.status()["machine"]["state"] == "connected"


def test_the_foreground_daemon_ends_with_its_interrupt(samehost: Samehost) -> None:
    up = subprocess.Popen(
        samehost.command("up", "--foreground"),
        env=samehost.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with ended(up):
        until(
            lambda: samehost.status()["machine"]["state"] == "connected", "the machine", patience=30
        )
        second = samehost.try_run("up", "--foreground")
        assert second.returncode == 6
        assert "runs already" in second.stderr
        up.send_signal(signal.SIGINT)
        assert up.wait(30) in (0, 130)
    until(lambda: leftovers(samehost) == [], f"nothing to be left: {leftovers(samehost)}")
