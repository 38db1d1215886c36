"""Where an SSH server is, and as whom to log in: what `ssh:user@host:port` means.

Rules: values only. A host is never something that ssh(1) would take for an option. What is left out
is said by the person's own SSH configuration. Counterparts: `openssh/` and `paramiko/` go there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from desktop.errors import UsageError

__all__ = ["NAME_PREFIX", "SshDestination"]

NAME_PREFIX: Final = "ssh:"
"""Of names of machines that are SSH servers."""
LARGEST_PORT: Final = (1 << 16) - 1

_FORM: Final = re.compile(
    r"(?:(?P<user>[^\s@:/\[\]-][^\s@:/\[\]]*)@)?"
    r"(?:\[(?P<literal>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[\w][\w.-]*))"
    r"(?::(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class SshDestination:
    """See the module.

    Attributes:
        host: a name that the SSH configuration knows, or an address.
        user: "" if the configuration says it.
        port: 0 if the configuration says it.
        config: an ssh_config(5) file that is read instead of the person's and the computer's.
        identity: file with the private key, "" if the configuration says it.
        is_own: a machine of this computer whose key is made anew with the machine: there is nothing
            to check it against.
    """

    host: str
    user: str = ""
    port: int = 0
    config: str = ""
    identity: str = ""
    is_own: bool = False

    @classmethod
    def parse(cls, text: str) -> SshDestination:
        """What `[user@]host[:port]` means; IPv6 addresses are in brackets. Raises UsageError."""
        match = _FORM.fullmatch(text)
        port = int(match["port"] or 0) if match else 0
        if match is None or port > LARGEST_PORT or match["port"] == "0":
            raise UsageError(
                f"not an SSH server: {text!r}", "the form is user@host or user@host:port"
            )
        return cls(match["literal"] or match["host"], match["user"] or "", port)

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"{user}{host}{port}"

    @property
    def docker_host(self) -> str:
        """As in DOCKER_HOST: the docker command logs in by ssh(1), too."""
        return f"ssh://{self}"

    @property
    def arguments(self) -> list[str]:
        """For ssh(1), all but the host."""
        words = ["-F", self.config] if self.config else []
        words += ["-l", self.user] if self.user else []
        words += ["-p", str(self.port)] if self.port else []
        if self.identity:
            words += ["-i", self.identity, "-o", "IdentitiesOnly=yes"]
        if self.is_own:
            words += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
            words += ["-o", "GlobalKnownHostsFile=/dev/null"]
        return words
