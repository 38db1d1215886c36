"""A script for POSIX sh(1) as one command of a log-in shell, whichever that is.

sshd(8) hands a command to the log-in shell of the user, which may be bash, fish, csh or something
else; they agree on plain words, and on single quotes around what has in it neither quotes,
backslashes, exclamation marks nor line feeds. Everything else is written in octal, which printf(1)
of the sh(1) behind it undoes.
"""

from __future__ import annotations

import string
from typing import Final

__all__ = ["login_command"]

_AS_IT_IS: Final = frozenset(
    (string.ascii_letters + string.digits + " ./_-=:,;+@#~^|&<>()[]{}*?").encode()
)


def login_command(script: str) -> str:
    """The command that runs `script` with sh(1) and nothing else in between."""
    written = "".join(
        chr(byte) if byte in _AS_IT_IS else f"\\0{byte:03o}" for byte in script.encode()
    )
    return f'exec sh -c \'eval "$(printf %b "{written}")"\''
