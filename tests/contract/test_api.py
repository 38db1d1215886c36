"""The control API between a real server and a real client, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop.api.client import ApiClient, ConnectionLostError
from desktop.api.fake import FakeBackend, fake_row
from desktop.api.messages import MAX_LINE
from desktop.api.types import PortRow
from desktop.errors import (
    ConflictError,
    NotRunningError,
    PermissionDeniedError,
    SamehostError,
    UsageError,
    VersionMismatchError,
)
from link.version import PROTOCOL, VERSION
from tests.capabilities import AS_ROOT, needs
from tests.contract.api_clients import (
    HELLO,
    Serve,
    assert_still_serves,
    connect,
    home,
    raw,
    requests,
    serve,
    served,
    talk,
)
from tests.served_backend import PATIENCE, ServedBackend
from tests.until import until

__all__ = ["home", "serve", "served"]

NOBODY = 65534

# The greeting


def test_hello_is_answered_with_the_versions(served: ServedBackend) -> None:
    assert talk(served, HELLO, 1) == [{"hello": {"protocol": PROTOCOL, "version": VERSION}}]


def test_another_protocol_is_a_version_mismatch(
    served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.api.messages.PROTOCOL", PROTOCOL + 1)
    with pytest.raises(VersionMismatchError) as caught:
        connect(served)
    assert f"protocol {PROTOCOL + 1}" in caught.value.message
    assert "samehost down" in caught.value.remedy


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"nonsense\n",
        b"\xff\xfe\n",
        b"[]\n",
        b'{"id":1,"method":"status"}\n',
        b'{"hello":{"protocol":"1"}}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_malformed_greeting_is_an_error_and_the_end(served: ServedBackend, data: bytes) -> None:
    (answer,) = talk(served, data)
    assert answer["error"]["code"] == "USAGE"
    assert_still_serves(served)


def test_who_does_not_greet_is_dropped(serve: Serve) -> None:
    served = serve(first_message_seconds=0.05)
    (answer,) = talk(served, b"")
    assert answer["error"]["message"] == "no hello came"


def test_without_a_daemon_there_is_nobody(home: Path) -> None:
    with pytest.raises(NotRunningError):
        ApiClient.connect(home / "api.sock")


# Requests


def test_a_status_has_all_fields_in_order(served: ServedBackend) -> None:
    with connect(served) as client:
        status = client.call("status")
    assert list(status) == [
        "version",
        "protocol",
        "enabled",
        "enabled_locked",
        "enabled_reason",
        "machine",
        "ports",
        "flows",
        "bytes",
        "uptime_s",
        "machines",
        "counters",
        "troubles",
        "settings_problems",
        "ending",
    ]
    assert status["machines"] == [status["machine"]]
    assert list(status["bytes"]) == ["in", "out"]


def test_each_client_has_its_own_conversation(served: ServedBackend) -> None:
    with connect(served) as one, connect(served) as two:
        one.call("set_enabled", {"enabled": True})
        assert two.call("status")["enabled"] is True
        two.call("set_setting", {"key": "ignore", "value": ["tcp:1"]})
        values = {each["key"]: each["value"] for each in one.call("settings")}
        assert values["ignore"] == ["tcp:1"]


def test_a_slow_request_does_not_hold_up_the_next(served: ServedBackend) -> None:
    served.do(served.backend.gate.clear)
    answers = talk(
        served,
        requests({"id": 1, "method": "attach"}, {"id": 2, "method": "status"}),
        3,
    )
    assert answers[1] == {"id": 1, "progress": "starting sandbox"}
    assert answers[2]["id"] == 2


def test_progress_comes_before_the_result(served: ServedBackend) -> None:
    lines: list[str] = []
    with connect(served) as client:
        assert client.call("attach", {"machine": None}, lines.append) == []
    assert lines == ["starting sandbox"]


def test_an_error_of_the_daemon_is_the_same_error_here(served: ServedBackend) -> None:
    with connect(served) as client:
        with pytest.raises(UsageError) as caught:
            client.call("use", {"name": "mars"})
        assert caught.value.message == "unknown machine: mars"
        assert caught.value.remedy == "known: sandbox"
        assert client.call("machines")["machines"][0]["name"] == "sandbox"


@pytest.mark.parametrize(
    "request_",
    [
        {"id": 7, "method": "explode"},
        {"id": 7, "method": "set_enabled"},
        {"id": 7, "method": "set_enabled", "params": {"enabled": 1}},
        {"id": 7, "method": "use", "params": []},
    ],
)
def test_a_wrong_request_is_a_usage_error_and_the_client_stays(
    served: ServedBackend, request_: dict[str, Any]
) -> None:
    answers = talk(served, requests(request_, {"id": 8, "method": "status"}), 3)
    by_id = {answer.get("id"): answer for answer in answers}
    assert by_id[7]["error"]["code"] == "USAGE"
    assert "result" in by_id[8]


def test_a_request_takes_no_longer_than_its_time(
    served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.api.connection.REQUEST_SECONDS", {"attach": 0.05})
    served.do(served.backend.gate.clear)
    with connect(served) as client, pytest.raises(SamehostError, match="longer than"):
        client.call("attach")
    assert served.backend.calls == ["start sandbox", "cancelled sandbox"]


# Bad clients


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"id":"one","method":"status"}\n', b"{}\n"])
def test_a_malformed_line_drops_that_client_only(served: ServedBackend, line: bytes) -> None:
    with connect(served) as other:
        answers = talk(served, HELLO + line)
        assert answers[-1]["error"]["code"] == "USAGE"
        assert other.call("status")["protocol"] == PROTOCOL


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_too_long_drops_that_client_only(served: ServedBackend, end: bytes) -> None:
    with connect(served) as other:
        answers = talk(served, HELLO + b"x" * MAX_LINE + end)
        assert "longer than" in answers[-1]["error"]["message"]
        assert other.call("status")["protocol"] == PROTOCOL


def test_a_line_as_long_as_allowed_is_read(served: ServedBackend) -> None:
    line = b'{"id":1,"method":"status","pad":"'
    line += b"x" * (MAX_LINE - len(line) - 3) + b'"}\n'
    assert len(line) == MAX_LINE
    assert talk(served, HELLO + line, 2)[1]["id"] == 1


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.binary(max_size=200))
def test_no_bytes_harm_the_daemon(served: ServedBackend, data: bytes) -> None:
    for answer in talk(served, HELLO + data + b"\n\n")[1:]:
        assert answer["error"]["code"] == "USAGE"
    assert_still_serves(served)


def test_a_client_that_breaks_the_rules_is_counted(served: ServedBackend) -> None:
    talk(served, HELLO + b"nonsense\n\n")
    assert served.do(served.backend.status).counters["api_clients_faulty"] == 1


def test_too_many_clients_are_turned_away_until_one_leaves(serve: Serve) -> None:
    served = serve(clients=2)
    with connect(served), connect(served) as second:
        with pytest.raises(SamehostError, match="more than 2"):
            connect(served)
        assert second.call("status")["counters"]["api_clients_refused"] == 1
        second.close()
        served.run(until(lambda: len(served.server._clients) == 1))
        assert_still_serves(served)


def test_too_many_requests_at_once_end_the_connection(serve: Serve) -> None:
    served = serve(requests_per_client=2)
    served.do(served.backend.gate.clear)
    answers = talk(served, requests(*({"id": n, "method": "attach"} for n in range(3))))
    assert "more than 2 requests" in answers[-1]["error"]["message"]
    assert_still_serves(served)


def test_a_bug_in_one_request_ends_one_connection(
    served: ServedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    served.backend.machines = None  # type: ignore[assignment,method-assign]
    with connect(served) as client, pytest.raises(ConnectionLostError):
        client.call("machines")
    served.run(until(lambda: "a client of the control API met a bug" in caplog.text))
    assert_still_serves(served)


@needs(AS_ROOT)
def test_another_user_is_refused(served: ServedBackend, home: Path) -> None:
    home.chmod(0o755)
    served.paths.runtime.chmod(0o755)
    served.paths.api_socket.chmod(0o666)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of the test framework may run here.
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            connect(served).close()
            os.write(writer, b"got in")
        except PermissionDeniedError as error:
            os.write(writer, error.message.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        assert answer.read() == b"this Samehost belongs to another user"
    os.waitpid(child, 0)


def test_a_second_server_does_not_take_the_socket(served: ServedBackend) -> None:
    async def second() -> None:
        from desktop.api.server import ApiServer

        with pytest.raises(ConflictError):
            await ApiServer(served.paths.api_socket, served.backend).start()

    asyncio.run(second())
    assert_still_serves(served)


# The end of a request, of a client, of the daemon


def test_a_client_that_goes_cancels_what_it_asked_for(served: ServedBackend) -> None:
    served.do(served.backend.gate.clear)
    with raw(served) as sock:
        sock.sendall(requests({"id": 1, "method": "attach"}))
        served.run(asyncio.wait_for(served.backend.waiting.wait(), PATIENCE))
    served.run(until(lambda: "cancelled sandbox" in served.backend.calls))


def test_a_client_that_goes_does_not_cancel_a_shutdown(served: ServedBackend) -> None:
    served.do(served.backend.gate.clear)
    with raw(served) as sock, sock.makefile("rb") as lines:
        sock.sendall(requests({"id": 1, "method": "shutdown"}))
        assert lines.readline()
        assert b"closing every mirror" in lines.readline()
    served.do(served.backend.gate.set)
    served.join()
    assert served.backend.calls == ["shutdown"]
    assert not served.paths.api_socket.exists()


def test_shutdown_is_answered_before_the_end(served: ServedBackend) -> None:
    with connect(served) as client:
        assert client.call("shutdown") is None
        served.join()
        with pytest.raises(ConnectionLostError):
            client.call("status")


def test_shutdown_happens_once_however_many_ask(served: ServedBackend) -> None:
    served.do(served.backend.gate.clear)
    data = requests({"id": 1, "method": "shutdown"}, {"id": 2, "method": "shutdown"})
    with raw(served) as sock, sock.makefile("rb") as lines:
        sock.sendall(data)
        assert lines.readline()
        assert lines.readline()
        served.do(served.backend.gate.set)
        answers = [json.loads(line) for line in lines]
    assert {answer["id"] for answer in answers} == {1, 2}
    assert all(answer["result"] is None for answer in answers)
    assert served.backend.calls == ["shutdown"]


@pytest.mark.parametrize("is_late", [False, True], ids=["in the moment", "a moment later"])
def test_whoever_comes_as_the_daemon_ends_is_hung_up_on(home: Path, is_late: bool) -> None:
    from desktop.api.server import ApiServer

    ends: list[asyncio.Task[None]] = []

    class Ending(ApiServer):
        def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serve = partial(super()._connected, reader, writer)
            ends.append(asyncio.create_task(self.close()))
            if is_late:
                ends[0].add_done_callback(lambda _: serve())
            else:
                serve()

    async def come() -> None:
        async with Ending(home / "api.sock", FakeBackend()), asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(home / "api.sock")
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            await ends[0]

    asyncio.run(come())


def test_the_end_of_the_daemon_leaves_no_socket_file(serve: Serve) -> None:
    served = serve()
    with connect(served) as client:
        served.do(served.backend.stopped.set)
        served.join()
        with pytest.raises(ConnectionLostError):
            client.call("status")
    assert list(served.paths.runtime.iterdir()) == []


# Tables and their changes


def many(count: int) -> list[PortRow]:
    reason = "another program holds the port, and this text makes the row long " * 2
    return [fake_row(port, reason=reason) for port in range(1, count + 1)]


def test_a_table_longer_than_a_line_arrives_whole(served: ServedBackend) -> None:
    served.do(lambda: served.backend.change(many(10_000)))
    with connect(served) as client:
        revision, rows = client.ports()
    assert revision == 2
    assert [row["machine_port"] for row in rows] == list(range(1, 10_001))
    assert len(json.dumps(rows)) > 2 * MAX_LINE


LABELS = {f"label{number}": "\x1b[31m\n" * 10 for number in range(60)}


def test_image_and_labels_are_told_only_to_whoever_asks(served: ServedBackend) -> None:
    served.backend.details["c0ffee"] = ("nginx", LABELS)
    served.do(lambda: served.backend.change([fake_row(80), fake_row(81, "host")]))
    with connect(served) as client:
        assert set(client.call("ports")) == {"revision", "ports"}
        assert set(client.call("ports", {"wide": True})) == {"revision", "ports", "containers"}
        _, (narrow_host, narrow) = client.ports()
        _, (host, wide) = client.ports(wide=True)
    assert list(narrow["container"]) == ["id", "name", "runtime"]
    assert list(wide["container"]) == ["id", "name", "runtime", "image", "labels"]
    assert wide["container"]["image"] == "nginx"
    assert wide["container"]["labels"] == LABELS
    assert {**wide, "container": narrow["container"]} == narrow
    assert host == narrow_host


def test_labels_cross_once_however_many_rows_a_container_has(served: ServedBackend) -> None:
    served.backend.details["c0ffee"] = ("nginx", LABELS)
    served.do(lambda: served.backend.change(many(3000)))
    size = 0
    with raw(served) as sock, sock.makefile("rb") as lines:
        sock.sendall(requests({"id": 1, "method": "ports", "params": {"wide": True}}))
        for line in lines:
            size += line.count(b"label59")
            if b'"result"' in line:
                break
    assert size == 1
    with connect(served) as client:
        _, rows = client.ports(wide=True)
    assert len(rows) == 3000
    assert all(row["container"]["labels"] == LABELS for row in rows)


def test_changes_have_image_and_labels_for_whoever_asked(served: ServedBackend) -> None:
    served.backend.details["c0ffee"] = ("nginx", LABELS)
    with connect(served) as narrow, connect(served) as wide:
        narrow_lines, wide_lines = narrow.watch(), wide.watch(wide=True)
        next(narrow_lines), next(wide_lines)
        served.do(lambda: served.backend.change([fake_row(80)]))
        served.do(lambda: served.backend.change([], [fake_row(80)]))
        for kind in ("added", "removed"):
            (row,) = next(narrow_lines)[kind]
            assert list(row["container"]) == ["id", "name", "runtime"]
            line = next(wide_lines)
            assert list(line) == ["type", "revision", "added", "changed", "removed"]
            assert line[kind][0]["container"] == {
                **row["container"],
                "image": "nginx",
                "labels": LABELS,
            }


def test_no_line_is_longer_than_allowed(served: ServedBackend) -> None:
    served.do(lambda: served.backend.change(many(10_000)))
    with raw(served) as sock, sock.makefile("rb") as lines:
        sock.sendall(requests({"id": 1, "method": "ports"}))
        sizes = []
        for line in lines:
            sizes.append(len(line))
            if b'"result"' in line:
                break
    assert len(sizes) > 3
    assert max(sizes) <= MAX_LINE


def test_an_empty_table_is_a_snapshot_too(served: ServedBackend) -> None:
    with connect(served) as client:
        assert client.ports() == (1, [])
        assert next(client.watch()) == {"type": "snapshot", "revision": 1, "ports": []}


def test_watching_begins_with_the_table_and_goes_on_with_changes(served: ServedBackend) -> None:
    served.do(lambda: served.backend.change([fake_row(80)]))
    with connect(served) as client:
        lines = client.watch()
        first = next(lines)
        assert list(first) == ["type", "revision", "ports"]
        assert (first["type"], first["revision"]) == ("snapshot", 2)
        assert [row["host_port"] for row in first["ports"]] == [80]
        served.do(lambda: served.backend.change([fake_row(80, state="paused"), fake_row(81)], []))
        served.do(lambda: served.backend.change([], [fake_row(81)]))
        second, third = next(lines), next(lines)
    assert list(second) == ["type", "revision", "added", "changed", "removed"]
    assert (second["type"], second["revision"], third["revision"]) == ("delta", 3, 4)
    assert [row["host_port"] for row in second["added"]] == [81]
    assert [row["state"] for row in second["changed"]] == ["paused"]
    assert [row["host_port"] for row in third["removed"]] == [81]


def test_a_change_longer_than_a_line_arrives_whole(served: ServedBackend) -> None:
    with connect(served) as client:
        lines = client.watch()
        assert next(lines)["ports"] == []
        served.do(lambda: served.backend.change(many(10_000)))
        served.do(lambda: served.backend.change([fake_row(1, state="paused")]))
        big, small = next(lines), next(lines)
    assert len(big["added"]) == 10_000
    assert (len(small["added"]), len(small["changed"])) == (0, 1)


def test_a_subscriber_that_does_not_read_is_dropped_and_others_are_served(serve: Serve) -> None:
    served = serve(slow_client_seconds=1.0)
    with connect(served) as quick, raw(served) as slow:
        lines = quick.watch()
        next(lines)
        slow.sendall(requests({"id": 1, "method": "subscribe"}))
        served.run(until(lambda: len(served.backend.feed._subscriptions) == 2))
        for number in range(8):
            state = f"state {number}"
            rows = [fake_row(port, state=state) for port in range(1, 2_000)]
            served.do(partial(served.backend.change, rows))
            assert next(lines)["revision"] == number + 2
        served.run(until(lambda: len(served.backend.feed._subscriptions) == 1))
        with contextlib.suppress(ConnectionResetError):
            while slow.recv(1 << 16):
                pass
        served.do(lambda: served.backend.change([fake_row(9999)]))
        assert next(lines)["added"][0]["host_port"] == 9999
    assert served.do(served.backend.status).counters["api_clients_dropped"] == 1


def test_watching_ends_with_the_daemon(served: ServedBackend) -> None:
    with connect(served) as client:
        lines = client.watch()
        next(lines)
        served.do(served.backend.stopped.set)
        with pytest.raises(ConnectionLostError):
            next(lines)
