"""Inode to process, on a made-up /proc and on the real one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from link.processes import Process, find_processes, process_name


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Two processes; the socket 500 is shared by both, as after a fork."""
    for pid, name, links in (
        (7, "web", ["socket:[500]", "pipe:[500]", "/dev/null", "socket:[x]", "socket:["]),
        (30, "web child", ["socket:[500]", "socket:[501]"]),
    ):
        directory = tmp_path / str(pid) / "fd"
        directory.mkdir(parents=True)
        (tmp_path / str(pid) / "comm").write_text(name + "\n")
        for number, link in enumerate(links):
            (directory / str(number)).symlink_to(link)
    (tmp_path / "self").mkdir()
    return tmp_path


def test_each_socket_is_found_with_its_process(proc: Path) -> None:
    found = find_processes({500, 501, 999}, None, str(proc))
    assert found == {500: Process(30, "web child"), 501: Process(30, "web child")}


def test_only_the_given_processes_are_looked_at(proc: Path) -> None:
    assert find_processes({500, 501}, [7], str(proc)) == {500: Process(7, "web")}


def test_a_process_that_ended_is_no_error(proc: Path) -> None:
    assert find_processes({500}, [1234, 7], str(proc)) == {500: Process(7, "web")}
    assert process_name(1234, str(proc)) == ""


def test_no_question_costs_nothing(tmp_path: Path) -> None:
    assert find_processes({0}, None, str(tmp_path / "missing")) == {}


def test_our_own_socket_is_ours() -> None:
    with socket.socket() as sock:
        inode = os.fstat(sock.fileno()).st_ino
        assert find_processes({inode}, [os.getpid()]) == {
            inode: Process(os.getpid(), process_name(os.getpid()))
        }
    assert process_name(os.getpid())
