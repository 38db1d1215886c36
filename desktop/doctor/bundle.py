"""`samehost doctor --bundle FILE`: a report for a bug, with nobody's names and secrets in it.

    findings, status, ports, settings, versions, ends of logs ─▶ Redactor ─▶ FILE (.zip or .tar.gz)

Rules: all that goes in has gone through `redaction.py`, and is text. FILE is made anew, readable
by its owner only, and never overwrites; one that could not be finished is removed. Whatever part
cannot be had has the reason in its place. Of logs only the ends go in. Counterparts: `patient.py`
looks, `desktop/cli/doctor.py` says what is in it.
"""

from __future__ import annotations

import getpass
import gzip
import io
import json
import os
import platform
import socket
import sys
import tarfile
import zipfile
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from desktop.doctor.blocking import in_thread
from desktop.doctor.patient import Patient
from desktop.doctor.redaction import Redactor
from desktop.errors import ConflictError, SamehostError, UsageError
from desktop.log_end import last_lines
from desktop.machines.examination import Finding
from desktop.paths import HOME_VARIABLE, Paths
from link.version import PROTOCOL, VERSION

__all__ = ["CONTENTS", "Report", "check_place", "gather", "write"]

CONTENTS: Final[Mapping[str, str]] = {
    "doctor.json": "what each check has found",
    "status.json": "samehost status --json, with all counters",
    "ports.json": "samehost ports --json",
    "settings.json": "all settings, and which are locked",
    "versions.json": "of Samehost, Python, the libraries and the system",
    "samehost.log": "the end of the daemon's log",
    "machines.log": "the ends of the logs of sandboxes",
}
"""What is in a report, and README.txt, which says this."""

LOG_LINES: Final = 2000
LOG_BYTES: Final = 1 << 19
MACHINE_LOG_LINES: Final = 200
LONGEST_LINE: Final = 2000
"""Letters; what is longer is cut."""
LIBRARIES: Final = (
    *("asyncio-dgram", "jeepney", "msgspec", "paramiko", "platformdirs", "psutil", "uvloop"),
)
ZIP: Final = ".zip"

README: Final = """\
A report of Samehost {version}, made by: samehost doctor --bundle

{contents}

Replaced by stand-ins such as <container-1>, the same for the same everywhere: names and ids of
containers, images, names of hosts and users, addresses other than loopback and wildcard, folders of
homes (~), keys, passwords and other secrets, long random words. Labels of containers are left out.
Names of programs that have ports, numbers of ports, and versions are in it. Look through it before
you send it: a name that was nowhere but in a line of a log is not known as one.
"""

Report = dict[str, str]
"""Texts by file name."""


async def gather(patient: Patient, findings: Sequence[Finding]) -> Report:
    """Everything, redacted. Never raises SamehostError."""
    status = await _or_reason(patient.status)
    wide = await _or_reason(lambda: patient.ask("ports", wide=True))
    settings = await in_thread(lambda: _settings(patient.paths))
    redactor = Redactor(_names(status, wide, settings), _home())
    checks = [
        {"check": each.step, "state": each.state, "evidence": each.evidence, "remedy": each.remedy}
        for each in findings
    ]
    parts: dict[str, object] = {
        "doctor.json": checks,
        "status.json": status,
        "ports.json": wide.get("ports", wide),
        "settings.json": settings,
        "versions.json": _versions(),
    }
    report = {"README.txt": _readme()}
    report |= {name: _json(redactor.value(part)) for name, part in parts.items()}
    logs = await in_thread(lambda: _logs(patient.paths))
    return report | {name: redactor.text(text) for name, text in logs.items()}


def check_place(path: Path) -> None:
    """See early that the file can be written. Raises ConflictError, UsageError."""
    if os.path.lexists(path):
        raise ConflictError(f"{path} is there already", "name another file")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", "name a file in one that is there")


def write(report: Report, path: Path) -> None:
    """Write the archive. Raises ConflictError if the file is there, OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError as error:
        raise ConflictError(f"{path} is there already", "name another file") from error
    try:
        with open(descriptor, "wb") as file:
            file.write(_zip(report) if path.suffix.lower() == ZIP else _tar(report))
    except BaseException:
        path.unlink()
        raise


async def _or_reason(look: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    try:
        return await look()
    except SamehostError as error:
        return {"missing": error.message}


def _names(
    status: Mapping[str, Any], wide: Mapping[str, Any], settings: Iterable[Mapping[str, Any]]
) -> dict[str, set[str]]:
    """The words that are known to be somebody's, by kind."""
    containers = wide.get("containers", [])
    values = {entry["key"]: entry["value"] for entry in settings}
    machines = [machine["name"] for machine in status.get("machines", ())]
    machines += [values["machine"] or "", *values["alsoAttach"]]
    log_ins = [name.removeprefix("ssh:") for name in machines if name.startswith("ssh:")]
    host = socket.gethostname()
    return {
        "container": {each[field] for each in containers for field in ("name", "id")},
        "image": {each["image"] for each in containers},
        "label": {value for each in containers for value in each["labels"].values()},
        "user": {_user(), *(name.rpartition("@")[0] for name in log_ins)},
        "host": {
            *(host, host.partition(".")[0]),
            *(name.rpartition("@")[2].partition(":")[0] for name in log_ins),
        },
    }


def _home() -> str:
    try:
        return str(Path.home())
    except RuntimeError:
        return ""  # nobody by that number


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # nobody by that number


def _settings(paths: Paths) -> list[dict[str, object]]:
    from desktop.settings.store import SettingsStore

    return [
        {"key": each.key, "value": each.value, "default": each.default, "locked": each.locked}
        for each in SettingsStore(paths).entries()
    ]


def _versions() -> dict[str, object]:
    return {
        "samehost": VERSION,
        "protocol": PROTOCOL,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "system": _system(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "is_root": hasattr(os, "geteuid") and os.geteuid() == 0,
        "has_home_of_its_own": HOME_VARIABLE in os.environ,
        "encoding": sys.getfilesystemencoding(),
    }


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return platform.version()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _logs(paths: Paths) -> Report:
    machines = []
    for path in sorted(paths.logs.glob("machine-*.log")):
        machines += [f"==> {path.name}", *_end(path, MACHINE_LOG_LINES)]
    daemon = _end(paths.log_file, LOG_LINES) or ["missing: there is no log"]
    return {"samehost.log": "\n".join(daemon), "machines.log": "\n".join(machines)}


def _end(path: Path, count: int) -> list[str]:
    try:
        lines = last_lines(path, 0, count, LOG_BYTES)
    except OSError as error:
        return [f"missing: {error.strerror}"]
    return [line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + " …" for line in lines]


def _readme() -> str:
    contents = "\n".join(f"{name.ljust(14)}{words}" for name, words in CONTENTS.items())
    return README.format(version=VERSION, contents=contents)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _tar(report: Report) -> bytes:
    """Without a name of a user or of a file of this computer, which such archives carry else."""
    out = io.BytesIO()
    with gzip.GzipFile("", "wb", fileobj=out, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, text in report.items():
                data = text.encode(errors="replace")
                entry = tarfile.TarInfo(f"samehost-report/{name}")
                entry.size, entry.mode = len(data), 0o600
                archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _zip(report: Report) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in report.items():
            archive.writestr(f"samehost-report/{name}", text.encode(errors="replace"))
    return out.getvalue()
