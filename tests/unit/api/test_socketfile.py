"""The place of the control socket."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.api.peers import peer_of
from desktop.api.socketfile import bind, private_folder
from desktop.errors import ConflictError, PermissionDeniedError, UsageError
from tests.capabilities import AS_ROOT, UNIX_SOCKETS, USER_IDS, needs

NOBODY = 65534

as_root = needs(AS_ROOT)
pytestmark = needs(UNIX_SOCKETS, USER_IDS)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, made by the test."""
    with tempfile.TemporaryDirectory(prefix="sh-") as name:
        yield Path(name) / "run"


def test_the_socket_and_its_folder_are_ours_alone(folder: Path) -> None:
    with bind(folder / "api.sock"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "api.sock").stat().st_mode) == 0o600


def test_a_socket_on_which_nobody_answers_is_replaced(folder: Path) -> None:
    bind(folder / "api.sock").close()
    assert (folder / "api.sock").exists()
    with bind(folder / "api.sock"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(folder / "api.sock"))
        assert peer_of(client) == (os.getpid(), os.geteuid())


def test_a_socket_on_which_somebody_answers_stays(folder: Path) -> None:
    with bind(folder / "api.sock"):
        inode = (folder / "api.sock").stat().st_ino
        with pytest.raises(ConflictError):
            bind(folder / "api.sock")
        assert (folder / "api.sock").stat().st_ino == inode


def test_a_file_that_is_no_socket_stays(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "api.sock").write_text("precious")
    with pytest.raises(ConflictError):
        bind(folder / "api.sock")
    assert (folder / "api.sock").read_text() == "precious"


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_in_which_others_may_write_is_refused(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(PermissionDeniedError) as caught:
        private_folder(folder)
    assert caught.value.remedy == f"chmod 700 {folder}"


@as_root
def test_a_folder_of_somebody_else_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    with pytest.raises(PermissionDeniedError, match="belongs to another user"):
        bind(folder / "api.sock")


def test_a_link_to_a_folder_is_refused(folder: Path) -> None:
    folder.symlink_to("/")
    with pytest.raises(PermissionDeniedError, match="is not a folder"):
        private_folder(folder)


@pytest.mark.parametrize("kind", [PermissionError(13, "Permission denied"), OSError(30, "Read")])
def test_a_folder_that_may_not_be_made_is_told_with_the_way_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: OSError
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise kind

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionDeniedError) as caught:
        private_folder(folder)
    assert "set SAMEHOST_HOME" in caught.value.remedy


def test_a_path_too_long_for_a_socket_is_a_usage_error(folder: Path) -> None:
    with pytest.raises(UsageError, match="too long"):
        bind(folder / ("x" * 104))
    assert not folder.exists()


def test_where_users_have_no_numbers_a_folder_is_made_and_a_file_in_its_place_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "geteuid")
    private_folder(tmp_path / "run")
    (tmp_path / "file").touch()
    with pytest.raises(PermissionDeniedError):
        private_folder(tmp_path / "file")
