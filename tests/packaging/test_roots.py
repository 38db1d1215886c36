"""What is tried in clean systems, and how it is told what purging leaves.

The systems themselves are those of `make dist-test`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop.errors import SamehostError
from scripts.dist import roots
from scripts.dist.roots import TRIED, CleanRoot, try_packages
from scripts.dist.shared import shared_files


class FakeRoot(CleanRoot):
    """A system in which everything is as it should be, and purging leaves some files."""

    def __init__(self, folder: Path, left: tuple[str, ...] = (), broken: str = "") -> None:
        super().__init__(folder)
        self.left = left
        self.broken = broken

    def run(self, *command: str) -> str:
        if command[:2] == ("dpkg", "--purge"):
            for name in self.left:
                (self.folder / name).touch()
            return ""
        return "\n".join(
            wanted.format("1.2")
            for what, line, wanted in TRIED
            if command[-1] == line and what != self.broken
        )


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRoot:
    """Stands for a clean system in `try_packages`."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "etc").mkdir()
    root = FakeRoot(tmp_path)

    class Given:
        def __enter__(self) -> FakeRoot:
            return root

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(roots, "clean_root", lambda _release, _debs: Given())
    return root


def test_each_thing_that_is_tried_is_told(tried: FakeRoot) -> None:
    assert tried.folder.is_dir()
    lines = try_packages("some", [], "1.2")
    assert lines[:-1] == [f"{what}: as it should be" for what, _, _ in TRIED]
    assert lines[-1] == "purged: nothing is left"


def test_what_is_otherwise_is_an_error(tried: FakeRoot) -> None:
    tried.broken = "manual"
    with pytest.raises(SamehostError, match="manual"):
        try_packages("some", [], "1.2")


def test_what_purging_leaves_is_an_error_that_names_it(tried: FakeRoot) -> None:
    tried.left = ("etc/samehost.conf",)
    with pytest.raises(SamehostError, match="leaves 1 files") as caught:
        try_packages("some", [], "1.2")
    assert caught.value.remedy == "/etc/samehost.conf"


def test_what_dpkg_keeps_for_itself_is_none_of_ours(tmp_path: Path) -> None:
    for name in ("var/lib/dpkg/status", "var/cache/man/index.db", "etc/one"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    root = CleanRoot(tmp_path)
    assert root.files() & {"/etc/one", "/var/lib/dpkg/status", "/var/cache/man/index.db"} == {
        "/etc/one"
    }


def test_every_completion_and_the_manual_are_tried() -> None:
    tried = {what for what, _, _ in TRIED}
    assert {name.split("/")[0] for name in shared_files()} == {
        "bash-completion",
        "zsh",
        "fish",
        "man",
    }
    assert {"manual", *(f"completion for {shell}" for shell in ("bash", "zsh", "fish"))} <= tried
