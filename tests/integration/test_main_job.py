"""What Samehost is for: `--net=host` means this computer, both ways, with a real engine."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pty
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from desktop.settings.keys import KEYS
from tests.integration.samehost import (
    IMAGE,
    Samehost,
    free_port,
    free_ports,
    running_samehost,
    talk,
    until,
)
from tests.integration.servers import ECHO, GREETER, MANY, ON_COMMAND
from tests.promptness import promptly

AT_ONCE_SECONDS = 1.0
"""Within this time the switch has closed or opened everything (the README's fraction of a second
is the usual)."""

ROW_KEYS = [
    *("origin", "protocol", "machine_address", "machine_port", "host_address", "host_port"),
    *("state", "reason", "container", "process", "flows", "bytes_in", "bytes_out", "since"),
    *("machine", "guarded"),
]


@pytest.fixture(scope="module")
def running() -> Iterator[Samehost]:
    """Up, on, and with the image loaded; the tests of this module share it."""
    with running_samehost() as samehost:
        yield samehost


@pytest.fixture
def samehost(running: Samehost) -> Iterator[Samehost]:
    """The running one, switched on again and without rules of an earlier test."""
    yield running
    running.run("enable")
    for key in ("ignore", "remap", "portBinding"):
        running.set(key, KEYS[key].default)


@contextlib.contextmanager
def web_server(address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A web server on this computer; its port."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"page of the desktop")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the test's output quiet."""

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    with Server((address, port), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def refuses(address: str, port: int) -> bool:
    try:
        talk(address, port)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def says(address: str, port: int) -> bytes:
    try:
        return talk(address, port)
    except OSError:
        return b""


def test_a_port_of_a_container_is_open_on_localhost(samehost: Samehost) -> None:
    port = free_port()
    with samehost.container("nc", "-lkv", "0.0.0.0", str(port)) as container:
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        talk("localhost", port, b"typed on the desktop\n")
        until(lambda: "typed on the desktop" in samehost.docker("logs", container), "the words")
    until(lambda: refuses("127.0.0.1", port), "the mirror to go")
    assert samehost.rows(port) == []


def test_the_documented_example_works_on_a_terminal(samehost: Samehost) -> None:
    port = free_port()
    master, slave = pty.openpty()
    command = samehost.command(
        *("docker", "run", "--rm", "-it", "--net=host", IMAGE, "nc", "-lv", "0.0.0.0", str(port))
    )
    shell = subprocess.Popen(
        command, env=samehost.environment, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    try:
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        with socket.create_connection(("localhost", port), timeout=10) as client:
            client.sendall(b"from the desktop\n")
            seen = b""
            while b"from the desktop" not in seen:
                seen += os.read(master, 4096)
            os.write(master, b"from the container\n")
            assert client.recv(100) == b"from the container\n"
        assert shell.wait(20) == 0
    finally:
        shell.kill()
        shell.wait()
        os.close(master)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0"])
def test_a_container_reaches_the_desktops_web_server(samehost: Samehost, address: str) -> None:
    with web_server(address) as port:
        until(lambda: "active" in samehost.states(port, "host"), "the stub")
        there = "::1" if address == "::1" else "127.0.0.1"
        page = samehost.docker(
            *("run", "--rm", "-i", "--net=host", IMAGE, "nc", there, str(port)),
            text="GET / HTTP/1.0\r\n\r\n",
        )
        assert "page of the desktop" in page
    until(lambda: samehost.rows(port, "host") == [], "the stub to go")
    refused = samehost.try_run("docker", "run", "--rm", "--net=host", IMAGE, "nc", there, str(port))
    assert refused.returncode == 1


def test_published_ports_get_dockers_own_warning(samehost: Samehost) -> None:
    done = samehost.try_run("docker", "run", "--rm", "-p", "80:80", "--net=host", IMAGE, "true")
    assert done.returncode == 0
    assert "Published ports are discarded" in done.stderr


@pytest.mark.parametrize(
    ("address", "v6only", "open_on", "closed_on"),
    [
        ("127.0.0.1", "v6only", ["127.0.0.1"], ["::1"]),
        ("127.0.0.2", "v6only", ["127.0.0.2"], ["127.0.0.1"]),
        ("::1", "v6only", ["::1"], ["127.0.0.1"]),
        ("0.0.0.0", "v6only", ["127.0.0.1"], ["::1"]),
        ("::", "v6only", ["::1"], ["127.0.0.1"]),
        ("::", "dual", ["127.0.0.1", "::1"], []),
    ],
)
def test_an_address_means_what_it_means_on_linux(
    samehost: Samehost, address: str, v6only: str, open_on: list[str], closed_on: list[str]
) -> None:
    port = free_port()
    with samehost.python(GREETER, address, str(port), v6only, "it is me"):
        until(lambda: samehost.states(port) == ["active"] * len(open_on), "the mirrors")
        assert [says(one, port) for one in open_on] == [b"it is me"] * len(open_on)
        assert all(refuses(one, port) for one in closed_on)
    until(lambda: all(refuses(one, port) for one in open_on), "the mirrors to go")


def test_a_listener_on_the_machines_own_address_is_ignored_and_says_why(samehost: Samehost) -> None:
    port = free_port()
    there = samehost.docker(
        "run", "--rm", "--net=host", IMAGE, "sh", "-c", "ip -4 -o addr show eth0 | awk '{print $4}'"
    ).partition("/")[0]
    with samehost.python(GREETER, there, str(port), "v6only", "hello"):
        until(lambda: samehost.states(port) == ["ignored"], "the row")
        assert there in samehost.rows(port)[0]["reason"]


def test_a_row_has_the_documented_keys_and_names_container_and_process(samehost: Samehost) -> None:
    port = free_port()
    with samehost.container("nc", "-lk", "127.0.0.1", str(port)) as container:
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        name = samehost.docker("inspect", "-f", "{{.Name}}", container).lstrip("/")
        until(lambda: samehost.rows(port)[0]["container"]["name"] == name, "the name")
        [row] = [each for each in printed(samehost, "ports") if each["machine_port"] == port]
        assert row == samehost.rows(port)[0]
        assert list(row) == ROW_KEYS
        assert row["container"] == {"id": container, "name": name, "runtime": "docker"}
        assert row["process"] == "nc"
        assert (row["machine_address"], row["machine_port"]) == ("127.0.0.1", port)
        assert (row["host_address"], row["host_port"]) == ("127.0.0.1", port)
        assert abs(row["since"] - time.time()) < 60


def test_a_status_that_is_printed_is_the_daemons(samehost: Samehost) -> None:
    before, said, after = samehost.status(), printed(samehost, "status"), samehost.status()
    assert before["uptime_s"] < said["uptime_s"] < after["uptime_s"]
    assert list(said) == list(before) == list(after)
    assert said["machine"]["name"] == before["machine"]["name"] == "sandbox"


def printed(samehost: Samehost, verb: str) -> Any:
    """What a command prints as JSON."""
    return json.loads(samehost.run(verb, "--json"))


def test_only_host_networked_containers_are_mirrored(samehost: Samehost) -> None:
    port, other = free_port(), free_port()
    with samehost.container("nc", "-lk", "0.0.0.0", str(port), network="bridge"):
        with samehost.container("nc", "-lk", "0.0.0.0", str(other)):
            until(lambda: samehost.states(other) == ["active"], "the other's mirror")
        assert samehost.rows(port) == []
        assert refuses("127.0.0.1", port)


def test_disable_and_enable_work_live_and_restart_nothing(samehost: Samehost) -> None:
    port = free_port()
    with samehost.container("nc", "-lk", "0.0.0.0", str(port)) as container, web_server() as web:
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        started = samehost.docker("inspect", "-f", "{{.State.StartedAt}}", container)

        def after_both() -> float:
            """Seconds from each command until all has come of it, of the one that took longer."""
            samehost.run("disable")
            began = time.monotonic()
            until(lambda: refuses("127.0.0.1", port), "the mirror to go")
            until(lambda: samehost.ports() == [], "the table to empty")
            closed = time.monotonic() - began
            assert samehost.try_run("status").returncode == 3
            samehost.run("enable")
            began = time.monotonic()
            until(lambda: not refuses("127.0.0.1", port), "the mirror to come")
            until(lambda: "active" in samehost.states(web, "host"), "the stub to come")
            return max(closed, time.monotonic() - began)

        promptly(after_both, AT_ONCE_SECONDS)
        assert samehost.docker("inspect", "-f", "{{.State.StartedAt}}", container) == started


def test_a_port_in_use_is_a_conflict_that_names_the_holder_and_heals(samehost: Samehost) -> None:
    samehost.run("settings", "set", "reachHost", "false")
    try:
        with web_server("0.0.0.0") as port:
            with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "container"):
                until(lambda: samehost.states(port) == ["conflict"], "the conflict")
                until(lambda: str(os.getpid()) in samehost.rows(port)[0]["reason"], "the holder")
                assert samehost.status()["ports"]["conflict"] >= 1
            until(lambda: samehost.rows(port) == [], "the row to go")
        with web_server("0.0.0.0", port):
            container = samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "container")
            name = container.__enter__()
            until(lambda: samehost.states(port) == ["conflict"], "the conflict again")
        until(lambda: says("127.0.0.1", port) == b"container", "the conflict to heal")
        assert name
        container.__exit__(None, None, None)
    finally:
        samehost.run("settings", "set", "reachHost", "true")


def test_a_port_held_on_both_sides_stays_with_its_owners(samehost: Samehost) -> None:
    samehost.run("disable")
    with web_server("0.0.0.0") as port:
        with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "container"):
            samehost.run("enable")
            until(lambda: samehost.states(port) == ["conflict"], "the container's row")
            until(lambda: samehost.states(port, "host") == ["conflict"], "the desktop's row")
            assert b"page of the desktop" in talk("127.0.0.1", port, b"GET / HTTP/1.0\r\n\r\n")


def test_a_container_that_binds_a_port_of_the_desktop_is_told_so(samehost: Samehost) -> None:
    with web_server("127.0.0.1") as port:
        until(lambda: samehost.states(port, "host") == ["active"], "the stub")
        done = samehost.try_run(
            *("docker", "run", "--rm", "--net=host", IMAGE, "nc", "-l", "0.0.0.0", str(port))
        )
        assert done.returncode == 1
        assert "in use" in done.stderr


def test_connections_outlive_their_listener(samehost: Samehost) -> None:
    port = free_port()
    with samehost.python(ECHO, str(port), "once"):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"one")
            assert client.recv(10) == b"one"
            until(lambda: refuses("127.0.0.1", port), "the mirror to go")
            client.sendall(b"two")
            assert client.recv(10) == b"two"


def test_every_turn_of_close_and_listen_serves_the_new_content(samehost: Samehost) -> None:
    port = free_port()
    turns = 30
    with samehost.python(ON_COMMAND, str(port), str(turns)):
        for turn in range(turns):
            until(lambda turn=turn: says("127.0.0.1", port) == str(turn).encode(), f"turn {turn}")  # type: ignore[misc]


def test_half_close_and_a_megabyte_pass_whole(samehost: Samehost) -> None:
    port = free_port()
    data = os.urandom(1 << 20)
    with samehost.python(ECHO, str(port)):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:

            def send() -> None:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            heard = b""
            while part := client.recv(65536):
                heard += part
            sender.join()
        assert heard == data
        row = until(
            lambda: next((r for r in samehost.rows(port) if r["bytes_in"] >= len(data)), None),
            "the counts",
        )
        assert (row["bytes_in"], row["bytes_out"]) == (len(data), len(data))


def test_rules_apply_live(samehost: Samehost) -> None:
    port, other = free_port(), free_port()
    with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "hello"):
        until(lambda: samehost.states(port) == ["active"], "the mirror")
        samehost.run("settings", "set", "ignore", f"tcp:{port}")
        until(lambda: samehost.states(port) == ["ignored"], "the rule")
        assert refuses("127.0.0.1", port)
        samehost.run("settings", "set", "ignore", "[]")
        samehost.run("settings", "set", "remap", json.dumps({f"tcp:{port}": other}))
        until(lambda: says("127.0.0.1", other) == b"hello", "the other port")
        assert refuses("127.0.0.1", port)
        samehost.run("settings", "set", "remap", "{}")
        samehost.run("settings", "set", "portBinding", "localhost")
        until(lambda: [r["host_address"] for r in samehost.rows(port)] == ["127.0.0.1"], "loopback")
        until(lambda: says("127.0.0.1", port) == b"hello", "the port again")


def test_a_container_with_two_thousand_ports_is_mirrored_whole(samehost: Samehost) -> None:
    count = 2000
    first = free_ports(count)
    with samehost.python(MANY, str(first), str(count)):
        until(lambda: samehost.status()["ports"]["active"] >= count, "all mirrors", patience=30)
        for port in (first, first + count // 2, first + count - 1):
            socket.create_connection(("127.0.0.1", port)).close()
    until(lambda: samehost.status()["ports"]["active"] < count, "them to go", patience=30)
    until(lambda: refuses("127.0.0.1", first + count - 1), "the last to go")


def test_watching_ports_tells_of_changes(samehost: Samehost) -> None:
    port = free_port()
    watcher = subprocess.Popen(
        samehost.command("ports", "--watch", "--json"),
        env=samehost.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watcher.stdout is not None
    try:
        snapshot = json.loads(watcher.stdout.readline())
        assert list(snapshot) == ["type", "revision", "ports"]
        revision = snapshot["revision"]
        with samehost.container("nc", "-lk", "127.0.0.1", str(port)):
            ports: list[int] = []
            while port not in ports:
                delta = json.loads(watcher.stdout.readline())
                assert list(delta) == ["type", "revision", "added", "changed", "removed"]
                assert delta["revision"] == (revision := revision + 1)
                ports = [row["host_port"] for row in delta["added"]]
        gone: list[int] = []
        while port not in gone:
            delta = json.loads(watcher.stdout.readline())
            gone = [row["host_port"] for row in delta["removed"]]
    finally:
        watcher.kill()
        watcher.wait()
        watcher.stdout.close()
