"""Clean systems: the packages for Debian are installed, tried and purged in them.

    mmdebstrap ─▶ build/roots/RELEASE.tar (kept) ─▶ a folder ─▶ chroot: dpkg --install, tried,
    dpkg --purge ─▶ the list of files as it was before

Rules: such a system has what the packages depend on, and nothing more that could hide that a
dependency is missing. Limits: needs root, and a Debian that can make such systems. Programs in it
run without a network and without a session of a user.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from desktop.errors import SamehostError
from scripts.dist.source import ROOT, run

__all__ = ["RELEASES", "CleanRoot", "clean_root", "try_packages"]

RELEASES: Final = ("bookworm", "trixie")
ROOTS: Final = ROOT / "build/roots"
KEYS: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
TOOLS: Final = ("bash-completion", "man-db", "systemd")
"""What shows that manual page, completions and unit are found."""

MADE_BY_OTHERS: Final = ("/var/lib/dpkg/", "/var/cache/", "/var/log/", "/etc/ld.so.cache", "/tmp/")
"""What dpkg and triggers of other packages keep, whatever is installed."""

VARIABLES: Final = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8")
"""All that a program in it knows of."""


class CleanRoot:
    """One that is unpacked: `folder` is its /."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str) -> str:
        """What a program in it prints. Raises SamehostError."""
        apart = ["unshare", "--net", "--fork", "--pid", f"--mount-proc={self.folder}/proc"]
        bare = ["env", "--ignore-environment", *VARIABLES]
        what = f"{' '.join(command)} (in a clean system)"
        return run([*apart, "chroot", self.folder, *bare, *command], what=what)

    def files(self) -> set[str]:
        """Every file, folder and link in it, but for what dpkg itself keeps."""
        found = set()
        for folder, names, files in os.walk(self.folder):
            inside = "/" + os.path.relpath(folder, self.folder)
            found |= {os.path.normpath(f"{inside}/{name}") for name in (*names, *files)}
        return {name for name in found if not name.startswith(MADE_BY_OTHERS)}


@contextmanager
def clean_root(release: str, debs: Sequence[Path]) -> Iterator[CleanRoot]:
    """A system of a release that has all that these packages depend on, but not them."""
    archive = _archive(release, debs)
    with tempfile.TemporaryDirectory(prefix="samehost-root-") as folder:
        root = Path(folder) / "root"
        root.mkdir()
        run(["tar", "--extract", "--file", archive, "--directory", root, "--numeric-owner"])
        yield CleanRoot(root)


def _archive(release: str, debs: Sequence[Path]) -> Path:
    """The system as a tar file, made unless there is one with the same packages in it."""
    needed = sorted({name for deb in debs for name in _depends(deb)} | set(TOOLS))
    key = hashlib.sha256(" ".join(needed).encode()).hexdigest()[:12]
    target = ROOTS / f"{release}-{key}.tar"
    if not target.exists():
        for old in ROOTS.glob(f"{release}-*"):
            old.unlink()
        ROOTS.mkdir(parents=True, exist_ok=True)
        new = target.with_suffix(".part.tar")
        options = ["--variant=minbase", "--quiet", f"--include={','.join(needed)}"]
        run(["mmdebstrap", *options, release, new, _source(release)])
        new.rename(target)
    return target


def _depends(deb: Path) -> list[str]:
    text = run(["dpkg-deb", "--field", deb, "Depends"])
    names = (each.split("(")[0].strip() for each in text.split(","))
    return [name for name in names if not name.startswith("samehost")]


def _source(release: str) -> str:
    """A line for apt: the mirror that this Debian uses."""
    listing = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"])
    mirrors = [line.split()[0] for line in listing.splitlines() if line.strip()]
    mirror = next((each for each in mirrors if each.rstrip("/").endswith("/debian")), "")
    if not mirror:
        raise SamehostError("no mirror of Debian is known here", "sudo apt-get update")
    return f"deb [signed-by={KEYS}] {mirror} {release} main"


def try_packages(release: str, debs: Sequence[Path], version: str) -> list[str]:
    """Install, try and purge; what was seen, a line each. Raises SamehostError."""
    with clean_root(release, debs) as root:
        before = root.files()
        for deb in debs:
            shutil.copy(deb, root.folder / "tmp")
        root.run("dpkg", "--install", *(f"/tmp/{deb.name}" for deb in debs))
        seen = _try(root, version)
        root.run("dpkg", "--purge", "samehost-gui", "samehost")
        left = sorted(root.files() - before)
        if left:
            raise SamehostError(f"purging leaves {len(left)} files", "\n".join(left[:20]))
        gone = sorted(before - root.files())
        if gone:
            raise SamehostError(f"purging takes away what was there: {gone[0]}", "")
        return [*seen, "purged: nothing is left"]


def _try(root: CleanRoot, version: str) -> list[str]:
    """What is as it should be; raises SamehostError with all that is not."""
    seen, problems = [], []
    for what, command, wanted in TRIED:
        try:
            said = root.run("sh", "-c", command)
        except SamehostError as error:
            said = f"{error}\n{error.remedy}"
        if wanted.format(version) in said:
            seen.append(f"{what}: as it should be")
        else:
            problems.append(f"{what}: {wanted.format(version)!r} is not in: {said}")
    if problems:
        names = ", ".join(problem.split(":")[0] for problem in problems)
        raise SamehostError(f"not as it should be in a clean system: {names}", "\n".join(problems))
    return seen


PYTHON: Final = "/usr/lib/samehost/bin/python"
SITE: Final = "/usr/lib/samehost/lib/python3/site-packages"
UNIT: Final = "/usr/lib/systemd/user/samehost.service"
TRIED: Final = (
    ("version", "samehost --version", "samehost {}"),
    ("status", "samehost status || test $? = 3", "Host networking"),
    (
        "daemon",
        (
            "export SAMEHOST_HOME=/tmp/home; samehost up --no-machine >/dev/null 2>&1;"
            " samehost status 2>&1; samehost down"
        ),
        "Samehost has stopped",
    ),
    ("manual", "man --where samehost && man samehost | head -3", "SAMEHOST(1)"),
    (
        "completion for bash",
        (
            "bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader samehost;"
            " complete -p samehost'"
        ),
        "samehost",
    ),
    ("completion for zsh", "cat /usr/share/zsh/vendor-completions/_samehost", "#compdef samehost"),
    ("completion for fish", "cat /usr/share/fish/vendor_completions.d/samehost.fish", "complete"),
    (
        "unit",
        f"XDG_RUNTIME_DIR=/tmp systemd-analyze --user --man=no verify {UNIT} 2>&1 && echo fine",
        "fine",
    ),
    ("not enabled", "! find /etc -name 'samehost.service' | grep . && echo none", "none"),
    (
        "helper image",
        (
            f"cd / && {PYTHON} -c 'from desktop.machines.helper_image import find_image;"
            " import os; print(find_image(os.uname().machine).tag)'"
        ),
        "samehost/helper:",
    ),
    (
        "window",
        (
            f"QT_QPA_PLATFORM=offscreen {PYTHON} -P -c 'import gui.app;"
            ' from PySide6.QtWidgets import QApplication; QApplication([]); print("made")\''
        ),
        "made",
    ),
    (
        "libraries",
        # The plug-in for GTK's looks is left aside by Qt where there is no GTK.
        (
            f"find {SITE} -name '*.so*' ! -name libqgtk3.so -exec ldd {{}} + >/tmp/needed 2>&1;"
            " grep -q 'libc.so.6 =>' /tmp/needed && ! grep 'not found' /tmp/needed && echo all"
        ),
        "all",
    ),
    ("bytecode", f"ls {SITE}/desktop/__pycache__ {SITE}/gui/__pycache__", ".pyc"),
)
