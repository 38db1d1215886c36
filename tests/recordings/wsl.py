"""`wsl.exe --list --verbose`.

ENGLISH is a table that people show in docker/for-win and microsoft/WSL, with names changed, in the
columns of WSL 2.9.4-107-g3e27a6a50, `src/windows/common/WslClient.cpp` (NAME padded to the longest
name and 4, STATE to 16). GERMAN and FRENCH were put together in the form of the WSL that is part of
Windows, which says header and state in the language of Windows. NONE is `MessageNoDefaultDistro` as
the WSL of 3e27a6a50 has it in `localization/strings/en-US/Resources.resw`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ENGLISH", "FRENCH", "GERMAN", "GERMAN_RUNNING", "NONE"]

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
