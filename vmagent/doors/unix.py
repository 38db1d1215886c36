"""A door in the machine's file system: a Unix socket in a folder of its own.

Rules: only the owner, as whom the desktop's log-in runs, and root may enter the folder and connect;
containers see neither unless they are given the machine's /run. Nothing of it is left at the end.
Counterpart: `desktop/transports/unix.py`, at the other end of what the log-in forwards.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from typing import Any, Final

from link.acceptor import BACKLOG, Acceptor
from link.dial import grow_send_buffer
from vmagent.capabilities import FOWNER
from vmagent.doors.entrance import Admit, Entrance, Finish, watch_input

__all__ = ["UnixEntrance"]

FOLDERS: Final = ("/run", "/tmp")
"""Where the folder may be, first choice first."""
PREFIX: Final = "samehost-"
SOCKET_NAME: Final = "agent"
FOR_ITS_OWNER: Final = 0o600


class UnixEntrance(Entrance):
    """See the module. `owner` is a user id, None for that of the log-in. Raises OSError.

    `buffer_bytes` may wait in a stream towards the desktop; 0 leaves it to the kernel.
    """

    carries_reset = False

    def __init__(self, owner: int | None = None, buffer_bytes: int = 0) -> None:
        self._buffer_bytes = buffer_bytes
        self._folder = _make_folder()
        if os.path.dirname(self._folder) != FOLDERS[0]:
            self.capabilities = (FOWNER,)  # what is somebody else's in /tmp only its owner removes
        self._path = os.path.join(self._folder, SOCKET_NAME)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._acceptor: Acceptor | None = None
        owner = _user_of_the_log_in() if owner is None else owner
        try:
            self._sock.bind(self._path)
            os.chmod(self._path, FOR_ITS_OWNER)
            for path in (self._path, self._folder):
                if os.stat(path).st_uid != owner:
                    os.chown(path, owner, -1)
            self._sock.listen(BACKLOG)
            self._sock.setblocking(False)
        except BaseException:
            self.close()
            raise

    @property
    def answer(self) -> dict[str, Any]:
        """See `Entrance`."""
        return {"kind": "unix", "path": self._path}

    def begin(self, admit: Admit, finish: Finish) -> None:
        """See `Entrance`."""

        def admit_grown(stream: socket.socket) -> None:
            # It does not get what the listener has (unix(7)).
            if self._buffer_bytes:
                grow_send_buffer(stream, self._buffer_bytes)
            admit(stream)

        self._acceptor = Acceptor(self._sock, admit_grown)
        watch_input(finish)

    def close(self) -> None:
        """See `Entrance`."""
        if self._acceptor is not None:
            self._acceptor.close()
        self._sock.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(self._folder)


def _user_of_the_log_in() -> int:
    """Who became root by sudo(8), which says so; otherwise who we are."""
    return int(os.environ.get("SUDO_UID", os.getuid()))


def _make_folder() -> str:
    for parent in FOLDERS[:-1]:
        with contextlib.suppress(OSError):
            return tempfile.mkdtemp(prefix=PREFIX, dir=parent)
    return tempfile.mkdtemp(prefix=PREFIX, dir=FOLDERS[-1])
