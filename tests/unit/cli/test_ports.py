"""`ports`: once, watched, wide, with a daemon and without."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import threading
from functools import partial
from typing import Any

import pytest

from desktop.api.fake import fake_row
from desktop.api.types import ContainerRef
from desktop.cli.main import main
from desktop.cli.ports import PortTable
from tests.served_backend import PATIENCE, ServedBackend
from tests.unit.cli.conftest import Command
from tests.unit.cli.served import appear, enable

ROW = [
    "origin",
    "protocol",
    "machine_address",
    "machine_port",
    "host_address",
    "host_port",
    "state",
    "reason",
    "container",
    "process",
    "flows",
    "bytes_in",
    "bytes_out",
    "since",
    "machine",
    "guarded",
]


def test_without_a_daemon_there_are_no_ports(samehost: Command) -> None:
    result = samehost("ports", "--json")
    assert (result.code, result.out) == (3, "[]\n")
    assert "samehost up" in result.err


def test_watching_without_a_daemon_is_a_snapshot_of_no_ports(samehost: Command) -> None:
    result = samehost("ports", "--watch", "--json")
    assert result.code == 3
    assert json.loads(result.out) == {"type": "snapshot", "revision": 0, "ports": []}
    assert result.out.count("\n") == 1


def test_ports_have_the_documented_fields_in_order(
    samehost: Command, served: ServedBackend
) -> None:
    enable(served)
    appear(served, fake_row(9000), fake_row(80, "host"), fake_row(443))
    result = samehost("ports", "--json")
    assert result.code == 0
    rows = json.loads(result.out)
    assert [list(row) for row in rows] == [ROW] * 3
    assert [(row["origin"], row["host_port"]) for row in rows] == [
        ("host", 80),
        ("machine", 443),
        ("machine", 9000),
    ]
    assert list(rows[1]["container"]) == ["id", "name", "runtime"]
    assert rows[0]["container"] is None


def test_ports_are_printed_though_the_switch_is_off(
    samehost: Command, served: ServedBackend
) -> None:
    appear(served, fake_row(80))
    result = samehost("ports", "--json")
    assert result.code == 3
    assert len(json.loads(result.out)) == 1
    assert "samehost enable" in result.err


def test_the_table_shows_where_and_whose_and_why(samehost: Command, served: ServedBackend) -> None:
    enable(served)
    appear(served, fake_row(80, state="conflict", reason="held by nginx (pid 7)"))
    head, row = samehost("ports").out.splitlines()
    assert head.split()[:2] == ["FROM", "PROTOCOL"]
    assert row.split()[:6] == ["machine", "tcp", "127.0.0.1:80", "127.0.0.1:80", "conflict", "web"]
    assert row.endswith("held by nginx (pid 7)")


def test_the_table_names_the_machine_where_only_another_than_the_current_one_has_ports(
    samehost: Command, served: ServedBackend
) -> None:
    enable(served)
    appear(served, fake_row(80, machine="sandbox-b"))
    head, line = samehost("ports").out.splitlines()
    assert (head.split()[0], line.split()[0]) == ("MACHINE", "sandbox-b")


def test_the_table_names_machines_once_there_are_several(
    samehost: Command, served: ServedBackend
) -> None:
    enable(served)
    appear(served, fake_row(80))
    assert "MACHINE" not in samehost("ports").out.split("IN THE MACHINE")[0]
    appear(served, fake_row(80, machine="sandbox-b", state="conflict"), fake_row(79, "host"))
    head, *rows = samehost("ports").out.splitlines()
    assert head.split()[:2] == ["MACHINE", "FROM"]
    cells = [row.split() for row in rows]
    assert [(row[0], row[1], row[5]) for row in cells] == [
        ("sandbox", "host", "active"),
        ("sandbox", "machine", "active"),
        ("sandbox-b", "machine", "conflict"),
    ]


def test_a_name_cannot_steer_the_terminal(samehost: Command, served: ServedBackend) -> None:
    enable(served)
    row = fake_row(80, reason="a\x1b]0;owned\x07b\nc")
    appear(served, row)
    text = samehost("ports").out
    assert "\x1b" not in text
    assert "\x07" not in text
    assert len(text.splitlines()) == 2


class Lines(io.TextIOBase):
    """Standard output that a test reads line by line, from another thread."""

    def __init__(self, is_terminal: bool = False) -> None:
        reader, writer = os.pipe()
        self._reader = open(reader, encoding="utf-8")  # noqa: SIM115 - closed below
        self._writer = writer
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        return os.write(self._writer, text.encode())

    def fileno(self) -> int:
        return self._writer

    def next(self) -> str:
        return self._reader.readline()

    def close(self) -> None:
        if not self.closed:
            self._reader.close()
            os.close(self._writer)
        super().close()


@contextlib.contextmanager
def watching(
    served: ServedBackend, monkeypatch: pytest.MonkeyPatch, *arguments: str, terminal: bool = False
) -> Any:
    """`ports --watch` in a thread, until the daemon ends."""
    codes: list[int] = []
    with contextlib.closing(Lines(terminal)) as lines:
        monkeypatch.setattr("sys.stdout", lines)
        thread = threading.Thread(
            target=lambda: codes.append(main(["ports", "--watch", *arguments]))
        )
        thread.start()
        yield lines
        served.do(served.backend.stopped.set)
        thread.join(PATIENCE)
        monkeypatch.undo()
    assert codes == [3]


def test_watching_prints_a_snapshot_and_then_deltas(
    served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    enable(served)
    with watching(served, monkeypatch, "--json") as lines:
        assert lines.next() == '{"type":"snapshot","revision":1,"ports":[]}\n'
        appear(served, fake_row(80))
        line = lines.next()
        assert line.startswith('{"type":"delta","revision":2,"added":[{"origin":"machine",')
        delta = json.loads(line)
        assert list(delta) == ["type", "revision", "added", "changed", "removed"]
        assert list(delta["added"][0]) == ROW


def test_watching_without_a_terminal_prints_changes(
    served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    enable(served)
    with watching(served, monkeypatch) as lines:
        assert lines.next() == "no ports\n"
        appear(served, fake_row(80))
        assert lines.next().split()[:4] == ["added", "machine", "tcp", "127.0.0.1:80"]
        served.do(partial(served.backend.change, [], [fake_row(80)]))
        assert lines.next().split()[0] == "removed"


def test_watching_names_machines_once_there_are_several(
    served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    enable(served)
    theirs = fake_row(80, machine="sandbox-b")
    with watching(served, monkeypatch) as lines:
        assert lines.next() == "no ports\n"
        appear(served, fake_row(80))
        assert lines.next().split()[:2] == ["added", "machine"]
        appear(served, theirs)
        assert lines.next().split()[:3] == ["added", "sandbox-b", "machine"]
        served.do(partial(served.backend.change, [], [theirs]))
        assert lines.next().split()[:3] == ["removed", "sandbox-b", "machine"]


def test_watching_on_a_terminal_draws_the_table_again(
    served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    enable(served)
    with watching(served, monkeypatch, terminal=True) as lines:
        assert [lines.next() for _ in range(24)] == ["\n"] * 24  # what was there scrolls up
        assert lines.next() == "\x1b[H\x1b[Jno ports\n"
        appear(served, fake_row(80))
        assert lines.next().startswith("\x1b[H\x1b[JFROM")
        assert "\x1b[32mactive" in lines.next()


def test_the_table_follows_snapshots_and_deltas() -> None:
    def row(port: int, state: str = "active") -> dict[str, Any]:
        addresses = {"machine_address": "::1", "host_address": "::1"}
        ports = {"machine_port": port, "host_port": port}
        row = {"origin": "host", "protocol": "tcp", "machine": "sandbox"}
        return {**row, **addresses, **ports, "state": state}

    table = PortTable()
    table.apply({"type": "snapshot", "ports": [row(2), row(1)]})
    change = {"added": [row(3)], "changed": [row(1, "paused")], "removed": [row(2)]}
    table.apply({"type": "delta", **change})
    assert [(each["host_port"], each["state"]) for each in table.rows()] == [
        (1, "paused"),
        (3, "active"),
    ]
    table.apply({"type": "snapshot", "ports": []})
    assert table.rows() == []


def test_a_container_without_a_name_is_shown_by_its_id(
    samehost: Command, served: ServedBackend
) -> None:
    import msgspec

    enable(served)
    nameless = ContainerRef("0123456789abcdef", "", "docker")
    appear(served, msgspec.structs.replace(fake_row(80), container=nameless))
    assert " 0123456789ab " in samehost("ports").out


# ports --wide

WIDE_HEAD = [
    "FROM",
    "PROTOCOL",
    "IN THE MACHINE",
    "HERE",
    "STATE",
    "OWNER",
    "IMAGE",
    "SERVICE",
    "FLOWS",
    "REASON",
]
COMPOSE = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}


def columns(text: str) -> list[list[str]]:
    """The cells of a table, by where its head says that columns begin."""
    head, *rows = text.splitlines()
    starts = [head.index(name) for name in WIDE_HEAD]
    return [
        [line[start:end].strip() for start, end in itertools.zip_longest(starts, starts[1:])]
        for line in rows
    ]


def test_wide_shows_image_and_service(samehost: Command, served: ServedBackend) -> None:
    enable(served)
    served.backend.details["c0ffee"] = ("nginx:1.29", COMPOSE)
    appear(served, fake_row(80), fake_row(81, "host"))
    result = samehost("ports", "--wide")
    assert result.code == 0
    host, web = columns(result.out)
    assert (host[5:8], web[5:8]) == (["nc", "", ""], ["web", "nginx:1.29", "shop/web"])
    assert "nginx" not in samehost("ports").out


def test_an_image_without_a_name_is_shown_by_the_beginning_of_its_id(
    samehost: Command, served: ServedBackend
) -> None:
    enable(served)
    served.backend.details["c0ffee"] = ("sha256:" + "0123456789abcdef" * 4, {})
    appear(served, fake_row(80))
    ((*_, image, service, _, _),) = columns(samehost("ports", "--wide").out)
    assert (image, service) == ("0123456789ab", "")


def test_wide_json_adds_image_and_labels_to_containers_and_nothing_else(
    samehost: Command, served: ServedBackend
) -> None:
    enable(served)
    hostile = {"note": "\x1b]0;owned\x07\n", **COMPOSE}
    served.backend.details["c0ffee"] = ("nginx", hostile)
    appear(served, fake_row(80), fake_row(81, "host"))
    text = samehost("ports", "--wide", "--json").out
    assert "\x1b" not in text
    rows = json.loads(text)
    assert [list(row) for row in rows] == [ROW] * 2
    assert rows[0]["container"] is None
    assert list(rows[1]["container"]) == ["id", "name", "runtime", "image", "labels"]
    assert rows[1]["container"]["labels"] == hostile
    assert list(json.loads(samehost("ports", "--json").out)[1]["container"]) == [
        "id",
        "name",
        "runtime",
    ]


def test_containers_of_the_same_id_in_two_machines_are_told_apart(
    samehost: Command, served: ServedBackend
) -> None:
    enable(served)
    appear(served, fake_row(80), fake_row(80, machine="sandbox-b"))
    result = samehost("ports", "--wide", "--json")
    keys = [list(row["container"]) for row in json.loads(result.out)]
    assert keys == [["id", "name", "runtime", "image", "labels"]] * 2


def test_labels_cannot_steer_the_terminal_nor_break_the_table(
    samehost: Command, served: ServedBackend
) -> None:
    enable(served)
    service = "a\x1b]0;owned\x07\r\n\u2028\u202eb\x9b2J" * 20
    served.backend.details["c0ffee"] = ("i\n\x1b[2J" * 50, {**COMPOSE, "x": "y\n" * 100})
    served.backend.details["c0ffee"][1]["com.docker.compose.service"] = service
    appear(served, fake_row(80))
    text = samehost("ports", "--wide").out
    assert len(text.splitlines()) == 2
    assert all(letter.isprintable() or letter == "\n" for letter in text)


def test_wide_without_a_daemon_is_as_empty(samehost: Command) -> None:
    result = samehost("ports", "--wide", "--json")
    assert (result.code, result.out) == (3, "[]\n")


def test_watching_wide_has_images_and_services_in_each_change(
    served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    enable(served)
    served.backend.details["c0ffee"] = ("nginx", COMPOSE)
    with watching(served, monkeypatch, "--wide") as lines:
        assert lines.next() == "no ports\n"
        appear(served, fake_row(80))
        assert lines.next().split()[6:9] == ["web", "nginx", "shop/web"]
        served.do(partial(served.backend.change, [], [fake_row(80)]))
        assert lines.next().split()[6:9] == ["web", "nginx", "shop/web"]


def test_watching_wide_on_a_terminal_draws_the_wide_table(
    served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    enable(served)
    monkeypatch.setattr("desktop.cli.output.USUAL_WIDTH", 200)
    served.backend.details["c0ffee"] = ("nginx", COMPOSE)
    with watching(served, monkeypatch, "--wide", terminal=True) as lines:
        assert [lines.next() for _ in range(25)][-1].endswith("no ports\n")
        appear(served, fake_row(80))
        assert "IMAGE  SERVICE" in lines.next()
        assert "nginx  shop/web" in lines.next()


def test_watching_wide_as_json_has_image_and_labels_in_each_change(
    served: ServedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    enable(served)
    served.backend.details["c0ffee"] = ("nginx", COMPOSE)
    with watching(served, monkeypatch, "--wide", "--json") as lines:
        assert lines.next() == '{"type":"snapshot","revision":1,"ports":[]}\n'
        appear(served, fake_row(80))
        delta = json.loads(lines.next())
        assert list(delta) == ["type", "revision", "added", "changed", "removed"]
        container = delta["added"][0]["container"]
        assert (container["image"], container["labels"]) == ("nginx", COMPOSE)
