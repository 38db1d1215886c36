"""Packages for Debian: `samehost`, and `samehost-gui` with the window.

    /usr/lib/samehost       an environment of its own (bundle.py): Debian 12 and 13 have some of the
                            needed Python packages too old, others not at all
    /usr/bin/samehost       the command, and its man page, completions and systemd user unit
    samehost-gui            Qt's modules that the window uses, entry in the menu, icon

Rules: everything belongs to root, has the time of the source, and names no place of the computer
that built it. That no library is missing is seen in clean systems (roots.py). Bytecode is made and
removed by Debian's own py3compile and py3clean. Limits: built on Debian for its own architecture.
"""

from __future__ import annotations

import gzip
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from desktop.errors import SamehostError
from link.version import VERSION
from scripts.dist import bundle, qt
from scripts.dist.desktop_files import desktop_files
from scripts.dist.source import BUILD, ROOT, put, run, source_time
from scripts.helper_image import build_helper_image

__all__ = ["build_debs"]

SOURCE: Final = ROOT / "packaging/debian"
LIBRARY: Final = "usr/lib/samehost"
MAINTAINER: Final = "Samehost maintainers <samehost@users.noreply.github.com>"
HOMEPAGE: Final = "https://github.com/samehost/samehost"
PYTHON: Final = f"python3 (>= {bundle.PYTHONS[0]}), python3 (<< 3.14)"
LAST_LEVEL: Final = 9
DISPLAYS: Final = "make --net=host mean this computer"

ABOUT: Final = """\
 Containers run in a Linux machine, such as Lima, Colima, Podman machine or a
 server over SSH. With Samehost, a port that a host-networked container opens
 there is open on this computer's localhost, and the container reaches the
 servers on this computer's localhost: TCP and UDP, in both directions, with
 one switch. Nothing is installed in the machine."""
OF_GUI: Final = """
 .
 This package has the window, with a tray icon, and the modules of Qt that it
 needs."""
OF_COMMAND: Final = """
 .
 This package has the command and the daemon, which a systemd user unit can
 start; it is not enabled by itself."""


@dataclass
class Package:
    """One package while it is built: `root` is the file system as it will be."""

    name: str
    root: Path
    summary: str
    description: str
    relations: dict[str, str] = field(default_factory=dict)


def build_debs(
    wheel: Path, target: Path, shared: Mapping[str, str], work: Path = BUILD
) -> list[Path]:
    """Write both packages into `target`; their paths. `shared`: files below share/, by path.

    Raises SamehostError.
    """
    target, work = target.resolve(), work.resolve() / "deb"
    shutil.rmtree(work, ignore_errors=True)
    command = _command(work, wheel, shared)
    window = _window(work)
    return [_build(package, target) for package in (command, window)]


def _command(work: Path, wheel: Path, shared: Mapping[str, str]) -> Package:
    root = work / "samehost"
    library, usr = root / LIBRARY, root / "usr"
    bundle.lay_environment(library)
    bundle.lay_packages(library, ROOT / "requirements.lock", work)
    bundle.lay_wheel(library, wheel)
    put(usr / "bin/samehost", (SOURCE / "samehost.sh").read_text(), 0o755)
    _share(usr / "share", shared)
    unit = (ROOT / "packaging/systemd/samehost.service").read_text()
    put(usr / "lib/systemd/user/samehost.service", unit)
    image = build_helper_image()
    put(usr / "share/samehost" / image.name, image.read_bytes())
    relations = {
        "Depends": f"{PYTHON}, libc6 (>= 2.34), libgcc-s1",
        "Recommends": "openssh-client",
        "Suggests": "docker.io, iproute2, iptables, tini, samehost-gui",
    }
    return Package("samehost", root, DISPLAYS, ABOUT + OF_COMMAND, relations)


def _window(work: Path) -> Package:
    root = work / "samehost-gui"
    lock = ROOT / "requirements-gui.lock"
    # Compiled for all versions of Python at once, so one is enough.
    bundle.lay_packages(root / LIBRARY, lock, work, qt.FILES, bundle.PYTHONS[:1])
    qt.leave_out(root / LIBRARY)
    _share(root / "usr/share", desktop_files())
    needed = [f"samehost (= {VERSION})", "libc6 (>= 2.34)", *qt.DEBIAN_PACKAGES]
    relations = {"Depends": ", ".join(needed)}
    summary = f"{DISPLAYS} (window)"
    return Package("samehost-gui", root, summary, ABOUT + OF_GUI, relations)


def _share(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        if name.startswith("man/"):
            put(folder / f"{name}.gz", _compressed(text))
        elif name.startswith("zsh/"):
            put(folder / name.replace("site-functions", "vendor-completions"), text)
        else:
            put(folder / name, text)


def _compressed(text: str) -> bytes:
    return gzip.compress(text.encode(), LAST_LEVEL, mtime=0)


def _build(package: Package, target: Path) -> Path:
    _document(package)
    architecture = run(["dpkg", "--print-architecture"]).strip()
    _control(package, architecture)
    _names_no_place(package)
    made = target / f"{package.name}_{VERSION}_{architecture}.deb"
    target.mkdir(parents=True, exist_ok=True)
    options: list[str | Path] = ["--root-owner-group", "-Zxz", "-z3", "--build", package.root, made]
    run(["dpkg-deb", *options], environment={"SOURCE_DATE_EPOCH": str(source_time())})
    return made


def _names_no_place(package: Package) -> None:
    """Raise SamehostError if something names a folder of the computer that builds."""
    places = [str(ROOT).encode(), sys.prefix.encode()]
    for file in filter(Path.is_file, package.root.rglob("*")):
        if not file.is_symlink() and any(place in file.read_bytes() for place in places):
            raise SamehostError(f"{file} names the folder it was built in", "see what wrote it")


def _document(package: Package) -> None:
    """Copyright, changelog, and what lintian has to bear, with the reasons."""
    folder = package.root / "usr/share/doc" / package.name
    put(folder / "copyright", (SOURCE / "copyright").read_text())
    date = format_datetime(datetime.fromtimestamp(source_time(), UTC))
    entry = f"samehost ({VERSION}) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n"
    put(folder / "changelog.gz", _compressed(f"{entry} -- {MAINTAINER}  {date}\n"))
    put(folder / "CHANGELOG.md.gz", _compressed((ROOT / "CHANGELOG.md").read_text()))
    overrides = SOURCE / f"{package.name}.lintian-overrides"
    if overrides.exists():
        put(package.root / "usr/share/lintian/overrides" / package.name, overrides.read_text())


def _control(package: Package, architecture: str) -> None:
    folder = package.root / "DEBIAN"
    size = sum(path.lstat().st_size for path in package.root.rglob("*") if path.is_file())
    fields = {
        "Package": package.name,
        "Version": VERSION,
        "Architecture": architecture,
        "Maintainer": MAINTAINER,
        "Installed-Size": str(size // 1024),
        **package.relations,
        "Section": "net",
        "Priority": "optional",
        "Homepage": HOMEPAGE,
        "Description": f"{package.summary}\n{package.description}",
    }
    put(folder / "control", "".join(f"{name}: {text}\n" for name, text in fields.items()))
    for script in ("postinst", "prerm"):
        text = (SOURCE / script).read_text().replace("@PACKAGE@", package.name)
        put(folder / script, text, 0o755)
    put(folder / "md5sums", run(["sh", "-c", MD5], package.root))


MD5: Final = "find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum"
