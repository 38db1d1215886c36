"""An SSH server in this process that asks for what a test wants to be asked.

Rules: each log-in needs every one of `steps`, in that order. Nothing can be done there.
Counterpart: `integration/ssh_server.py` is a real one, which asks for keys only.
"""

# ruff: noqa: ARG002 - paramiko tells more than is asked for

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_PARTIALLY_SUCCESSFUL, AUTH_SUCCESSFUL
from paramiko.server import InteractiveQuery

__all__ = ["FakeSshServer", "fake_ssh_server"]


class FakeSshServer(paramiko.ServerInterface):
    """One that runs.

    Attributes:
        tried: methods by which somebody has tried to log in, one after the other.
    """

    def __init__(
        self,
        steps: Sequence[str],
        *,
        password: str = "",
        dialogue: Sequence[tuple[str, str]] = (),
        keys: Sequence[paramiko.PKey] = (),
    ) -> None:
        self.tried: list[str] = []
        self.host_key = paramiko.ECDSAKey.generate()
        self.port = 0
        self._left = list(steps)
        self._password = password
        self._dialogue = dialogue
        self._keys = list(keys)

    def get_allowed_auths(self, username: str) -> str:
        return self._left[0] if self._left else "none"

    def _step(self, method: str, *, is_right: bool) -> int:
        self.tried.append(method)
        if not is_right or not self._left or method != self._left[0]:
            return AUTH_FAILED
        self._left.pop(0)
        return AUTH_PARTIALLY_SUCCESSFUL if self._left else AUTH_SUCCESSFUL

    def check_auth_none(self, username: str) -> int:
        return AUTH_FAILED if self._left else AUTH_SUCCESSFUL

    def check_auth_password(self, username: str, password: str) -> int:
        return self._step("password", is_right=password == self._password)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._step("publickey", is_right=key in self._keys)

    def check_auth_interactive(self, username: str, submethods: str) -> int | InteractiveQuery:
        query = InteractiveQuery("Second factor", "from the token")
        for question, _ in self._dialogue:
            query.add_prompt(question, echo=False)
        return query

    def check_auth_interactive_response(self, responses: list[str]) -> int | InteractiveQuery:
        wanted = [answer for _, answer in self._dialogue]
        return self._step("keyboard-interactive", is_right=responses == wanted)


@contextlib.contextmanager
def fake_ssh_server(server: FakeSshServer) -> Iterator[FakeSshServer]:
    """Let it take one connection after the other, at its `port`, on 127.0.0.1."""
    transports: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    transport = paramiko.Transport(listener.accept()[0])
                    transport.add_server_key(server.host_key)
                    transports.append(transport)
                    with contextlib.suppress(paramiko.SSHException, EOFError):
                        transport.start_server(server=server)

        thread = threading.Thread(target=serve, name="fake ssh server")
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for transport in transports:
                transport.close()
                transport.join()
