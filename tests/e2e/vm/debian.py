"""The files of a small Debian with container engines, from the packages this computer's apt offers.

    apt's sources here ─▶ mmdebstrap ─▶ root ─▶ furnish ─▶ `disk`
    linux-image-cloud  ─▶ unpacked   ─▶ vmlinuz, modules

The release is the one that this computer runs. The kernel is unpacked and not installed: it needs
no boot loader, and its first disk is made by `disk`. Nothing of where packages came from is left in
it: no sources, no proxies, no lists, no logs.

Limits: Debian on x86-64, root, mmdebstrap: `missing` says what is not there, `scripts/setup vm`
installs it.

Counterparts: `guest` in the folder above boots kernels without any of this.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

__all__ = ["BuildError", "install", "missing", "release", "run", "unpack_kernel"]

PACKAGES: Final = (
    *("init", "dbus", "kmod", "iproute2", "iptables", "procps", "sudo", "openssh-server"),
    *("docker.io", "podman", "python3"),
)
"""Beside the essential ones. `dbus` is how runc asks systemd for cgroups."""

KERNEL: Final = "linux-image-cloud-amd64"

TOOLS: Final = ("apt-get", "mmdebstrap", "mke2fs", "ssh", "ssh-keygen", "busybox", "setpriv")

LEFT_OUT: Final = ("doc", "man", "locale", "info")
"""Of /usr/share."""

TRACES: Final = (
    *("etc/apt/sources.list", "etc/apt/sources.list.d", "etc/apt/apt.conf.d/99mmdebstrap"),
    *("etc/dpkg/dpkg.cfg.d/99mmdebstrap", "var/lib/apt/lists", "var/cache/apt", "var/log"),
)
"""Of where it came from and how it was made: removed."""

ISOLATED: Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""What a program mounts goes with it, and all that it started ends with it, even when killed."""


class BuildError(Exception):
    """It cannot be built; the text is what the program said that failed."""


def missing() -> str:
    """Why it cannot be built here; "" if it can."""
    if release() == "" or platform.machine() != "x86_64":
        return "the VM is made of Debian's packages for x86-64, from a Debian"
    if os.geteuid() != 0:
        return "only root can make the VM's disk"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"not installed: {', '.join(absent)}; scripts/setup vm" if absent else ""


def release() -> str:
    """The code name of the Debian that runs here; "" if it is none."""
    system = platform.freedesktop_os_release()
    return system.get("VERSION_CODENAME", "") if system.get("ID") == "debian" else ""


def run(*argv: str | Path, text: str = "") -> str:
    """Run a program to its end; what it said. Raises BuildError with its words if it fails."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["setpriv", "--pdeathsig", "KILL", *argv],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        words = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise BuildError(f"{argv[0]} ended with {done.returncode}:\n{words}")
    return done.stdout


def install(root: Path, work: Path) -> None:
    """Fill the folder `root`, which must not be there. Raises BuildError."""
    options = work / "apt.conf"
    settings = [line for line in run("apt-config", "dump").splitlines() if _is_transport(line)]
    options.write_text("\n".join([*settings, 'Apt::Install-Recommends "false";', ""]))
    run(
        *(*ISOLATED, "mmdebstrap", "--quiet", "--mode=root", "--variant=essential"),
        *(f"--include={','.join(PACKAGES)}", f"--aptopt={options}", "--dpkgopt=force-unsafe-io"),
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT),
        *(release(), str(root), *_sources()),
    )
    for trace in TRACES:
        path = root / trace
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (root / "var/log").mkdir()


def _is_transport(line: str) -> bool:
    """True for what this computer's apt is told of how to fetch, such as proxies."""
    return line.startswith("Acquire::")


def _sources() -> list[str]:
    """The files in which apt finds this release, and not what others have added."""
    folder = Path("/etc/apt/sources.list.d")
    files = [Path("/etc/apt/sources.list"), *folder.glob("*.list"), *folder.glob("*.sources")]
    named = re.compile(rf"^[^#]*\s{release()}(\s|$)", re.MULTILINE)
    found = [str(file) for file in files if file.exists() and named.search(file.read_text())]
    if not found:
        raise BuildError(f"apt has no source of {release()} in {', '.join(map(str, files))}")
    return found


def unpack_kernel(folder: Path) -> str:
    """Put the newest kernel's /boot and /lib/modules into `folder`; its version.

    The lists of packages may be missing or old: only then are they fetched. Raises BuildError.
    """
    folder.mkdir()
    try:
        return _unpack_kernel(folder)
    except BuildError:
        run("apt-get", "update", "--quiet")
        return _unpack_kernel(folder)


def _unpack_kernel(folder: Path) -> str:
    offered = run("apt-cache", "depends", "--important", KERNEL)
    package = re.search(r"Depends: (linux-image-\S+)", offered)
    if package is None:
        raise BuildError(f"apt does not know {KERNEL}")
    run(
        *("env", f"--chdir={folder}", "apt-get", "-qq", "-o", "APT::Sandbox::User=root"),
        *("download", package[1]),
    )
    for file in folder.glob("*.deb"):
        run("dpkg-deb", "--extract", file, folder)
        file.unlink()
    return package[1].removeprefix("linux-image-")
