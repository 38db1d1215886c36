"""What wsl.exe complains about, told apart by its codes and words, with what a person can do.

Rules: values only. wsl.exe says what is wrong on its standard output and ends with -1, which is
4294967295 on Windows and 255 where a status has eight bits; the stub that Windows has before WSL is
installed ends with 1. The codes (`Wsl/Service/WSL_E_…`, `src/windows/common/wslutil.cpp` of WSL
3e27a6a50) are the same in every language and came with WSL 1.0; the words are those of its
`localization/strings/en-US/Resources.resw`, and numbers those of Microsoft's page "Troubleshooting
Windows Subsystem for Linux". What nobody knows is shown as it is.

Limit: a program may itself end with 1 or 255. That counts as a complaint only if what it wrote has
such a code, or is UTF-16LE with line ends of Windows, as no program of Linux writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from desktop.machines.found.model import LONGEST_LINE, text_of
from desktop.machines.shell import ShellError, ShellTrouble

__all__ = ["as_error", "is_complaint"]

OWN_STATUS: Final = 0xFFFFFFFF
"""No program in a distribution ends with that: -1 as a DWORD."""
PERHAPS_OWN: Final = (1, 255)

_CODE: Final = re.compile(r"\bWsl/[\w/]+")
_WIDE_LINE_END: Final = "\r\n".encode("utf-16-le")


@dataclass(frozen=True, slots=True)
class _Complaint:
    words: re.Pattern[str]
    trouble: ShellTrouble
    message: str
    remedy: str


def _complaint(words: str, trouble: ShellTrouble, message: str, remedy: str) -> _Complaint:
    return _Complaint(re.compile(words, re.IGNORECASE), trouble, message, remedy)


_COMPLAINTS: Final = (
    _complaint(
        r"WSL_E_(?:DEFAULT_)?DISTRO_NOT_FOUND|no distribution with the supplied name"
        r"|no installed distributions",
        ShellTrouble.UNREACHABLE,
        "there is no WSL distribution called {name}",
        "see which there are: wsl.exe --list --verbose",
    ),
    _complaint(
        r"WSL_E_USER_NOT_FOUND|user not found",
        ShellTrouble.AUTHENTICATION_FAILED,
        "the WSL distribution {name} has no user root",
        "look at its /etc/passwd: wsl.exe --distribution {name} --exec cat /etc/passwd",
    ),
    _complaint(
        r"VIRTUAL_MACHINE_PLATFORM|HCS_E_HYPERV_NOT_INSTALLED|HCS_E_SERVICE_NOT_AVAILABLE"
        r"|0x80370102|Virtual Machine Platform|virtualization is not enabled|enablevirtualization"
        r"|required feature is not installed",
        ShellTrouble.NOT_INSTALLED,
        "WSL cannot start its virtual machine",
        "wsl.exe --install --no-distribution, then start Windows anew; virtualization has to be on"
        " in the firmware, too",
    ),
    _complaint(
        r"OPTIONAL_COMPONENT_REQUIRED|0x8007019e|Linux Optional Component"
        r"|Subsystem for Linux (?:is not installed|has not been enabled)",
        ShellTrouble.NOT_INSTALLED,
        "WSL is not installed",
        "wsl.exe --install --no-distribution, then start Windows anew",
    ),
    _complaint(
        r"WSL_E_(?:HIGHER|LOWER)_INTEGRITY|running elevated|running non-elevated",
        ShellTrouble.REFUSED,
        "WSL runs already, with other rights than samehost has",
        "run both as administrator, or neither; to begin anew: wsl.exe --shutdown",
    ),
    _complaint(
        r"HCS_E_CONNECTION_TIMEOUT|0x8037011c",
        ShellTrouble.TIMED_OUT,
        "WSL's virtual machine does not answer in time",
        "begin anew: wsl.exe --shutdown",
    ),
)


def is_complaint(status: int, output: bytes) -> bool:
    """True if it was wsl.exe that failed, and not the program in the distribution."""
    if status not in PERHAPS_OWN:
        return status == OWN_STATUS
    return _WIDE_LINE_END in output or _CODE.search(text_of(output)) is not None


def as_error(distribution: str, output: bytes, status: int) -> ShellError:
    """Why no program runs there: what wsl.exe printed and its exit status, for a person."""
    said = " ".join(text_of(output).split())
    shown = said if len(said) <= LONGEST_LINE else said[: LONGEST_LINE - 1] + "…"
    for each in _COMPLAINTS:
        if each.words.search(said):
            message = each.message.format(name=distribution)
            return ShellError(
                each.trouble, f"{message} ({shown})", each.remedy.format(name=distribution)
            )
    return ShellError(
        ShellTrouble.FAILED,
        f"wsl.exe failed: {shown or f'it said nothing, and ended with status {status}'}",
        f"try it: wsl.exe --distribution {distribution} --user root --exec true",
    )
