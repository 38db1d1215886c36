"""Logging in by what a person has or types, against a server that asks for it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from desktop.machines.paramiko import ParamikoShell
from desktop.machines.shell import ShellError, ShellTrouble
from desktop.machines.ssh_destination import SshDestination
from desktop.prompter import NobodyToAskError, prompter
from tests.fake_ssh_server import FakeSshServer, fake_ssh_server
from tests.integration.samehost import until

PASSWORD, CODE = "correct horse", "123456"


class Person:
    """Answers by the words of a question, one answer after the other; knows what was asked."""

    def __init__(self, **answers: list[str]) -> None:
        self.asked: list[tuple[str, bool]] = []
        self._answers = answers

    async def ask(self, question: str, *, is_secret: bool) -> str:
        self.asked.append((question, is_secret))
        for word, answers in self._answers.items():
            if word in question and answers:
                return answers.pop(0)
        raise NobodyToAskError


class NeverAnswers:
    """Leaves the room with the question open."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()

    async def ask(self, question: str, *, is_secret: bool) -> str:
        self.is_asked.set()
        await asyncio.Event().wait()
        return f"never: {question} {is_secret}"


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    until(lambda: threading.active_count() <= before, "the end of all threads")


def shell_to(server: FakeSshServer, folder: Path, *options: str) -> ParamikoShell:
    """One that knows the server, and has no keys but those in `options`."""
    known = folder / "known_hosts"
    kind, key = server.host_key.get_name(), server.host_key.get_base64()
    known.write_text(f"[127.0.0.1]:{server.port} {kind} {key}\n")
    lines = [f"UserKnownHostsFile {known}", "GlobalKnownHostsFile none", *options]
    if not any("IdentityFile" in line for line in options):
        lines.append("IdentityFile none")
    config = folder / "config"
    config.write_text("\n".join(["Host *", *lines, ""]))
    return ParamikoShell(SshDestination("127.0.0.1", "me", server.port, str(config)))


def connect(shell: ParamikoShell, person: Person | None) -> None:
    """Log in and out."""

    async def story() -> None:
        prompter.set(person)
        try:
            await shell.connect()
        finally:
            await shell.aclose()

    asyncio.run(story())


def key_file(folder: Path, passphrase: str | None = None) -> tuple[Path, paramiko.PKey]:
    key = paramiko.ECDSAKey.generate()
    key.write_private_key_file(str(folder / "key"), passphrase)
    return folder / "key", key


def test_a_password_is_asked_for_and_not_shown(tmp_path: Path) -> None:
    person = Person(Password=[PASSWORD])
    with fake_ssh_server(FakeSshServer(["password"], password=PASSWORD)) as server:
        connect(shell_to(server, tmp_path), person)
    assert person.asked == [("Password of me@127.0.0.1:", True)]


def test_a_wrong_password_is_asked_for_again_three_times_in_all(tmp_path: Path) -> None:
    person = Person(Password=["a", "b", PASSWORD])
    with fake_ssh_server(FakeSshServer(["password"], password=PASSWORD)) as server:
        connect(shell_to(server, tmp_path), person)
    person = Person(Password=["a", "b", "c", PASSWORD])
    with fake_ssh_server(FakeSshServer(["password"], password=PASSWORD)) as server:
        with pytest.raises(ShellError) as caught:
            connect(shell_to(server, tmp_path), person)
    assert len(person.asked) == 3
    assert caught.value.trouble is ShellTrouble.AUTHENTICATION_FAILED


def test_what_the_server_wants_to_know_is_asked_in_its_words(tmp_path: Path) -> None:
    person = Person(Code=[CODE])
    dialogue = [("Code: ", CODE)]
    with fake_ssh_server(FakeSshServer(["keyboard-interactive"], dialogue=dialogue)) as server:
        connect(shell_to(server, tmp_path), person)
    question = "me@127.0.0.1 asks: Second factor from the token: Code:"
    assert person.asked == [(question, True)]


def test_a_server_may_want_a_key_and_a_password_and_more(tmp_path: Path) -> None:
    file, key = key_file(tmp_path)
    steps = ["publickey", "password", "keyboard-interactive"]
    fake = FakeSshServer(steps, password=PASSWORD, dialogue=[("Code", CODE)], keys=[key])
    with fake_ssh_server(fake) as server:
        connect(
            shell_to(server, tmp_path, f"IdentityFile {file}"),
            Person(Password=[PASSWORD], Code=[CODE]),
        )
    assert fake.tried == steps


def test_a_key_with_a_passphrase_is_opened_by_the_person(tmp_path: Path) -> None:
    file, key = key_file(tmp_path, "sesame")
    person = Person(Passphrase=["wrong", "sesame"])
    with fake_ssh_server(FakeSshServer(["publickey"], keys=[key])) as server:
        connect(shell_to(server, tmp_path, f"IdentityFile {file}"), person)
    assert [question for question, _ in person.asked] == [
        f"Passphrase of the key {file}:",
        f"Passphrase of the key {file}, which was wrong:",
    ]


@pytest.mark.parametrize("step", ["password", "keyboard-interactive"])
def test_where_nobody_can_be_asked_the_error_says_how_to_do_without(
    tmp_path: Path, step: str
) -> None:
    fake = FakeSshServer([step], password=PASSWORD, dialogue=[("Code", CODE)])
    with fake_ssh_server(fake) as server, pytest.raises(ShellError) as caught:
        connect(shell_to(server, tmp_path), None)
    assert caught.value.trouble is ShellTrouble.AUTHENTICATION_FAILED
    assert "nobody could be asked" in caught.value.message
    assert "samehost up" in caught.value.remedy
    assert f"ssh-copy-id -p {server.port} me@127.0.0.1" in caught.value.remedy


def test_who_is_configured_not_to_be_asked_is_not(tmp_path: Path) -> None:
    person = Person(Password=[PASSWORD])
    with fake_ssh_server(FakeSshServer(["password"], password=PASSWORD)) as server:
        with pytest.raises(ShellError, match="nobody could be asked"):
            connect(shell_to(server, tmp_path, "BatchMode yes"), person)
    assert not person.asked


def test_a_method_that_is_configured_not_to_be_used_is_not(tmp_path: Path) -> None:
    person = Person(Password=[PASSWORD])
    with fake_ssh_server(FakeSshServer(["password"], password=PASSWORD)) as server:
        with pytest.raises(ShellError):
            connect(shell_to(server, tmp_path, "PasswordAuthentication no"), person)
    assert not person.asked


def test_an_answer_serves_again_when_the_connection_was_lost_until_it_is_refused(
    tmp_path: Path,
) -> None:
    person = Person(Password=[PASSWORD, PASSWORD])

    async def story(shell: ParamikoShell) -> None:
        prompter.set(person)
        await shell.connect()
        assert shell._line is not None
        await asyncio.to_thread(shell._line.connection.close)
        prompter.set(None)
        fake._left = ["password"]
        await shell.connect()
        await shell.aclose()
        fake._left = ["password"]
        await shell.connect()
        await shell.aclose()
        fake._left, fake._password = ["password"], "changed meanwhile"
        for tried in (1, 0):
            fake.tried.clear()
            with pytest.raises(ShellError, match="nobody could be asked"):
                await shell.connect()
            assert len(fake.tried) == tried
        await shell.aclose()

    with fake_ssh_server(FakeSshServer(["password"], password=PASSWORD)) as fake:
        asyncio.run(story(shell_to(fake, tmp_path)))
    assert len(person.asked) == 1


def test_one_that_is_cancelled_while_a_person_is_asked_leaves_nothing(tmp_path: Path) -> None:
    async def story(shell: ParamikoShell) -> None:
        person = NeverAnswers()
        prompter.set(person)
        connecting = asyncio.create_task(shell.connect())
        await person.is_asked.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await shell.aclose()

    with fake_ssh_server(FakeSshServer(["password"], password=PASSWORD)) as server:
        asyncio.run(story(shell_to(server, tmp_path)))


def test_answers_are_in_no_log_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("paramiko").setLevel(logging.DEBUG)
    try:
        with fake_ssh_server(FakeSshServer(["password"], password=PASSWORD)) as server:
            with pytest.raises(ShellError) as caught:
                connect(shell_to(server, tmp_path), Person(Password=["sesame"] * 3))
    finally:
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    assert "sesame" not in caplog.text
    assert "sesame" not in f"{caught.value} {caught.value.remedy} {caught.value.__cause__}"
