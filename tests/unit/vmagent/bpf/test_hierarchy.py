"""Opening the tree of cgroups where it is not mounted."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vmagent.bpf import hierarchy
from vmagent.bpf.system import BpfError


class Kernel:
    """Stands for the calls that mount; fails at one of them."""

    def __init__(self, fails_at: int | None) -> None:
        self.fails_at = fails_at
        self.calls: list[int] = []
        self.opened: list[int] = []

    def call(self, number: int, *_: object) -> int:
        self.calls.append(number)
        if number == self.fails_at:
            raise BpfError(errno.EPERM, "Operation not permitted")
        if number == hierarchy.FSCONFIG:
            return 0
        self.opened.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        return self.opened[-1]


def is_open(descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").exists()


def test_the_tree_is_mounted_for_the_caller_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(fails_at=None)
    monkeypatch.setattr(hierarchy, "system_call", kernel.call)
    root = hierarchy.open_cgroup(None)
    context, mount = kernel.opened
    assert root == mount
    assert kernel.calls == [hierarchy.FSOPEN, hierarchy.FSCONFIG, hierarchy.FSMOUNT]
    assert (is_open(context), is_open(mount)) == (False, True)
    os.close(mount)


@pytest.mark.parametrize("call", [hierarchy.FSOPEN, hierarchy.FSCONFIG, hierarchy.FSMOUNT])
def test_where_it_cannot_be_mounted_that_is_said(
    monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    kernel = Kernel(fails_at=call)
    monkeypatch.setattr(hierarchy, "system_call", kernel.call)
    words = "cgroup v2 is not mounted and cannot be: Operation not permitted"
    with pytest.raises(BpfError, match=words) as caught:
        hierarchy.open_cgroup(None)
    assert caught.value.errno == errno.EPERM
    assert not any(map(is_open, kernel.opened))


def test_a_path_is_opened_as_a_directory(tmp_path: Path) -> None:
    descriptor = hierarchy.open_cgroup(str(tmp_path))
    assert os.fstat(descriptor).st_ino == tmp_path.stat().st_ino
    os.close(descriptor)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        hierarchy.open_cgroup(str(tmp_path / "file"))
