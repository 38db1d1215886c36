"""Logs in to an SSH server as the person would by ssh(1): keys first, then what they type.

    agent's keys ─▶ files of keys (passphrase) ─▶ keyboard-interactive ─▶ password

Rules: a server may ask for several methods one after the other. A key that the agent has is not
read from its file. Questions go to whoever can be asked (`desktop/prompter.py`); where nobody can,
the error says what would have been asked and how to do without. What is typed is kept in memory by
the caller at most (`Answers`), never written anywhere.

Called in a thread of its own; the answers come from the event loop. Counterpart: `connection.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import paramiko

from desktop.machines.shell import ShellError, ShellTrouble
from desktop.machines.ssh_config import Hop
from desktop.prompter import NobodyToAskError

__all__ = ["Answers", "log_in"]

TRIES: Final = 3
"""For a passphrase or a password, as ssh_config(5), NumberOfPasswordPrompts."""
KEY_KINDS: Final = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
CERTIFICATE: Final = "-cert.pub"
"""The end of the name of a key's certificate (ssh_config(5), CertificateFile)."""

Ask = Callable[[str, bool], str]
"""A question, and whether its answer is secret. Raises NobodyToAskError. Blocks."""


class Answers:
    """What a person has typed, for when the connection is lost and made anew. In memory only."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._used: set[str] = set()

    def begin(self) -> None:
        """A new log-in: each answer may be used once."""
        self._used.clear()

    def forget(self) -> None:
        """They were not right."""
        self._known.clear()

    def asking(self, ask: Ask) -> Ask:
        """Like `ask`, which is asked only what it has not answered yet."""

        def answer(question: str, is_secret: bool) -> str:
            if question in self._known and question not in self._used:
                self._used.add(question)
                return self._known[question]
            self._known[question] = ask(question, is_secret)
            self._used.add(question)
            return self._known[question]

        return answer


def log_in(transport: paramiko.Transport, hop: Hop, ask: Ask) -> None:
    """Log in. Raises ShellError, or paramiko's errors if the connection ends."""
    _LogIn(transport, hop, ask).run()


class _LogIn:
    """One log-in under way; `_left` are the methods that the server still takes."""

    def __init__(self, transport: paramiko.Transport, hop: Hop, ask: Ask) -> None:
        self._transport = transport
        self._hop = hop
        self._ask = ask
        self._left: set[str] = set()
        self._unasked: list[str] = []
        self._tried: list[str] = []

    def run(self) -> None:
        """See `log_in`."""
        try:
            self._go_on()
        except paramiko.SSHException as error:
            if self._unasked:
                raise self._refusal() from error
            raise

    def _go_on(self) -> None:
        if self._tries(lambda: self._transport.auth_none(self._hop.user)):
            return
        for _ in range(TRIES):  # a server that wants several methods has them one after the other
            before = set(self._left)
            if self._by_keys() or self._by_dialogue() or self._by_password():
                return
            if self._left == before:
                break
        raise self._refusal()

    def _tries(self, attempt: Callable[[], list[str]]) -> bool:
        """Whether the log-in is complete after this attempt."""
        try:
            left = attempt()
        except paramiko.BadAuthenticationType as error:
            self._left = set(error.allowed_types) & self._hop.methods
            return False
        except paramiko.AuthenticationException:
            if not self._transport.is_active():
                raise
            return False
        self._left = set(left) & self._hop.methods
        return not left

    def _by_keys(self) -> bool:
        with contextlib.closing(paramiko.Agent()) as agent:
            for name, key in self._keys(agent):
                if "publickey" not in self._left:
                    return False
                self._tried.append(name)
                before = set(self._left)
                if self._tries(lambda key=key: self._transport.auth_publickey(self._hop.user, key)):  # type: ignore[misc]
                    return True
                if self._left != before:
                    return False
        return False

    def _keys(self, agent: paramiko.Agent) -> Iterator[tuple[str, paramiko.PKey]]:
        """Keys by how they are called: the agent's before files, and those that are named first."""
        offered = {key.asbytes(): key for key in agent.get_keys()} if self._hop.uses_agent else {}
        files = {file: _public_part(file) for file in self._hop.identities}
        named = [blob for blob in files.values() if blob is not None and blob in offered]
        others = [] if self._hop.only_those else [blob for blob in offered if blob not in named]
        for each in (*named, *others):
            yield f"agent's {offered[each].comment or offered[each].get_name()}", offered[each]
        for file, blob in files.items():
            if blob not in offered and (key := self._read(file)) is not None:
                yield str(file), key

    def _read(self, file: Path) -> paramiko.PKey | None:
        """The key in a file; None if there is none, or it cannot be had."""
        if not file.is_file():
            if self._hop.has_named_identities:
                self._tried.append(f"{file} (not there)")
            return None
        password: str | None = None
        for _ in range(TRIES + 1):
            try:
                return _load(file, password)
            except paramiko.PasswordRequiredException:
                password = self._answer(f"Passphrase of the key {file}:")
            except (paramiko.SSHException, OSError) as error:
                if password is None:
                    self._tried.append(f"{file} ({error})")
                    return None
                password = self._answer(f"Passphrase of the key {file}, which was wrong:")
            if password is None:
                return None
        return None

    def _by_dialogue(self) -> bool:
        def answer(title: str, words: str, prompts: list[tuple[str, bool]]) -> list[str]:
            heading = " ".join(part.strip() for part in (title, words) if part.strip())
            return [self._dialogue_answer(heading, text, echo) for text, echo in prompts]

        return self._repeatedly(
            "keyboard-interactive",
            lambda: self._transport.auth_interactive(self._hop.user, answer),
        )

    def _dialogue_answer(self, heading: str, text: str, echo: bool) -> str:
        question = f"{self._place} asks: {heading + ': ' if heading else ''}{text.strip()}"
        answer = self._answer(question, is_secret=not echo)
        if answer is None:
            raise paramiko.SSHException("nobody answers")
        return answer

    def _by_password(self) -> bool:
        def attempt() -> list[str]:
            password = self._answer(f"Password of {self._place}:")
            if password is None:
                raise paramiko.BadAuthenticationType("nobody answers", [])
            return self._transport.auth_password(self._hop.user, password, fallback=False)

        return self._repeatedly("password", attempt)

    def _repeatedly(self, method: str, attempt: Callable[[], list[str]]) -> bool:
        before = set(self._left)
        for _ in range(TRIES):
            if method not in self._left or self._left != before or self._unasked:
                return False
            if method not in self._tried:
                self._tried.append(method)
            if self._tries(attempt):
                return True
        return False

    def _answer(self, question: str, *, is_secret: bool = True) -> str | None:
        """What the person answers; None if nobody does, which is remembered."""
        try:
            if not self._hop.may_ask:
                raise NobodyToAskError
            return self._ask(question, is_secret)
        except NobodyToAskError:
            self._unasked.append(question)
            return None

    @property
    def _place(self) -> str:
        return f"{self._hop.user}@{self._hop.host}"

    def _refusal(self) -> ShellError:
        port = "" if self._hop.port == 22 else f"-p {self._hop.port} "
        ways = ", ".join(self._tried) or "no key"
        if self._unasked:
            return ShellError(
                ShellTrouble.AUTHENTICATION_FAILED,
                f"{self._place} wants an answer that nobody could be asked for:"
                f" {self._unasked[-1].rstrip(':')}",
                f"samehost up, in a terminal, asks; or use a key: ssh-copy-id {port}{self._place},"
                " and ssh-add for one with a passphrase",
            )
        return ShellError(
            ShellTrouble.AUTHENTICATION_FAILED,
            f"{self._place} does not let us in: tried {ways}",
            f"see that this works: ssh {port}{self._place}; a key is handed over by:"
            f" ssh-copy-id {port}{self._place}",
        )


def _public_part(file: Path) -> bytes | None:
    """A key's public part from the file beside it, without its passphrase."""
    try:
        return paramiko.pkey.PublicBlob.from_file(f"{file}.pub").key_blob
    except (OSError, ValueError, IndexError):
        return None


def _load(file: Path, password: str | None) -> paramiko.PKey:
    """Raises PasswordRequiredException, SSHException, OSError."""
    problem = paramiko.SSHException("not a key that is known")
    for kind in KEY_KINDS:
        try:
            key: paramiko.PKey = kind.from_private_key_file(str(file), password)
        except paramiko.PasswordRequiredException:
            raise
        except paramiko.SSHException as error:
            problem = error
        except ValueError as error:
            problem = paramiko.SSHException(str(error))
        else:
            certificate = Path(f"{file}{CERTIFICATE}")
            if certificate.is_file():
                key.load_certificate(str(certificate))
            return key
    raise problem
