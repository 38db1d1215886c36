"""`wsl.exe --list --verbose`.

ENGLISH is a table that people show in docker/for-win and microsoft/WSL, with names changed, in the
columns of WSL 2.9.4-107-g3e27a6a50, `src/windows/common/WslClient.cpp` (NAME padded to the longest
name and 4, STATE to 16). GERMAN and FRENCH were put together in the form of the WSL that is part of
Windows, which says header and state in the language of Windows. NONE is `MessageNoDefaultDistro` as
the WSL of 3e27a6a50 has it in `localization/strings/en-US/Resources.resw`. COMPLAINTS are others
of there, each with the line that `MessageErrorCode` adds and a code of the form that
`wslutil::ErrorToString` gives it, as people show them in microsoft/WSL; "not-installed" is that of
the stub in Windows, which has no code, "unknown" one in another language.
"""

from __future__ import annotations

from typing import Final

__all__ = ["COMPLAINTS", "ENGLISH", "FRENCH", "GERMAN", "GERMAN_RUNNING", "NONE"]

ENGLISH: Final = """\
  NAME              STATE           VERSION\r
* Ubuntu            Running         2\r
  Legacy            Stopped         1\r
  Debian            Stopped         2\r
  docker-desktop    Running         2\r
  rancher-desktop   Stopped         2\r
  podman-machine-default   Stopped  2\r
"""

GERMAN: Final = """\
  NAME            STATUS           VERSION\r
* Ubuntu-22.04    Wird ausgeführt  2\r
  Debian          Beendet          2\r
"""

GERMAN_RUNNING: Final = "Ubuntu-22.04\r\n"
"""`wsl.exe --list --running --quiet`."""

FRENCH: Final = """\
  NOM       ÉTAT                       VERSION\r
* Ubuntu    En cours d’exécution       2\r
"""  # noqa: RUF001

NONE: Final = """\
Windows Subsystem for Linux has no installed distributions.\r
You can resolve this by installing a distribution with the instructions below:\r
\r
Use 'wsl.exe --list --online' to list available distributions\r
and 'wsl.exe --install <Distro>' to install.\r
"""

COMPLAINTS: Final = {
    "not-found": """\
There is no distribution with the supplied name.
Error code: Wsl/Service/WSL_E_DISTRO_NOT_FOUND
""",
    "no-user": """\
User not found.
Error code: Wsl/Service/WSL_E_USER_NOT_FOUND
""",
    "no-platform": """\
WSL2 is unable to start since virtualization is not enabled on this machine.
Please ensure the "Virtual Machine Platform" optional component is enabled and virtualization is \
turned on in your computer's firmware settings.

Enable "Virtual Machine Platform" by running: wsl.exe --install --no-distribution

For information please visit https://aka.ms/enablevirtualization
Error code: Wsl/Service/CreateInstance/CreateVm/HCS/HCS_E_HYPERV_NOT_INSTALLED
""",
    "no-component": """\
This application requires the Windows Subsystem for Linux Optional Component.
Install it by running: wsl.exe --install --no-distribution
The system may need to be restarted so the changes can take effect.
Error code: Wsl/WSL_E_WSL_OPTIONAL_COMPONENT_REQUIRED
""",
    "not-installed": """\
The Windows Subsystem for Linux is not installed. You can install by running 'wsl.exe --install'.
For more information please visit https://aka.ms/wslinstall
""",
    "elevated": """\
Cannot launch because another instance is running elevated.  Elevated and un-elevated instances \
are not permitted to run simultaneously.
Error code: Wsl/Service/WSL_E_LOWER_INTEGRITY
""",
    "timeout": """\
The operation timed out because a response was not received from the virtual machine or container.
Error code: Wsl/Service/CreateInstance/CreateVm/HCS/HCS_E_CONNECTION_TIMEOUT
""",
    "unknown": """\
Ein unbekannter Fehler ist aufgetreten.
Fehlercode: Wsl/Service/CreateInstance/E_UNEXPECTED
""",
    "usage": """\
Invalid command line argument
""",
}
"""What wsl.exe prints instead of running a program; without its carriage returns."""
