"""What only a person knows is asked of the client that asked for the work, and of nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop.api.asking import Asker
from desktop.api.client import ApiClient
from desktop.api.connection import Limits
from desktop.errors import PermissionDeniedError
from desktop.prompter import NobodyToAskError, ask, prompter
from link.version import PROTOCOL
from tests.integration.samehost import until
from tests.raw_client import raw_client
from tests.served_backend import ServedBackend

QUESTION, ANSWER = "Password of me@box:", "correct horse"


@pytest.fixture
def served() -> Iterator[ServedBackend]:
    """A daemon whose machine asks a question when it starts."""
    with tempfile.TemporaryDirectory(prefix="sh-") as home, contextlib.ExitStack() as stack:
        served = stack.enter_context(ServedBackend(Path(home), Limits()))
        served.backend.question = QUESTION
        yield served


@contextlib.contextmanager
def conversation(served: ServedBackend) -> Iterator[tuple[Callable[[Any], None], Any]]:
    """How to send a line, and the file to read lines from."""
    with raw_client(served.paths.api_socket, 20) as sock:
        with sock.makefile("rb") as lines:

            def send(message: Any) -> None:
                sock.sendall(json.dumps(message).encode() + b"\n")

            send({"hello": {"protocol": PROTOCOL, "version": "x"}})
            assert "hello" in json.loads(lines.readline())
            yield send, lines


@pytest.mark.parametrize(
    ("method", "parameters"),
    [("attach", {"machine": None}), ("use", {"name": "sandbox"}), ("start", {"name": "sandbox"})],
)
def test_the_client_that_wants_a_machine_is_asked(
    served: ServedBackend, method: str, parameters: dict[str, Any]
) -> None:
    asked: list[tuple[str, bool]] = []

    def answer(question: str, is_secret: bool) -> str:
        asked.append((question, is_secret))
        return ANSWER

    with ApiClient.connect(served.paths.api_socket) as client:
        client.call(method, parameters, None, answer)
    assert asked == [(QUESTION, True)]
    assert f"answered {ANSWER}" in served.backend.calls


def test_a_client_that_cannot_ask_anybody_says_so(served: ServedBackend) -> None:
    with ApiClient.connect(served.paths.api_socket) as client:
        with pytest.raises(PermissionDeniedError, match="nobody answers"):
            client.call("start", {"name": "sandbox"})
        with pytest.raises(PermissionDeniedError, match="nobody answers"):
            client.call("start", {"name": "sandbox"}, None, lambda _question, _secret: None)


def test_a_question_holds_up_no_other_request(served: ServedBackend) -> None:
    with conversation(served) as (send, lines):
        send({"id": 1, "method": "start", "params": {"name": "sandbox"}})
        assert "progress" in json.loads(lines.readline())
        question = json.loads(lines.readline())
        assert question == {"id": 1, "question": QUESTION, "secret": True, "number": 1}
        send({"id": 2, "method": "status"})
        assert json.loads(lines.readline())["id"] == 2
        send({"id": 1, "answer": ANSWER, "number": 1})
        assert json.loads(lines.readline()) == {"id": 1, "result": None}


def test_an_answer_to_nothing_is_not_heard(served: ServedBackend) -> None:
    with conversation(served) as (send, lines):
        send({"id": 7, "answer": "early", "number": 1})
        send({"id": 1, "method": "start", "params": {"name": "sandbox"}})
        assert "progress" in json.loads(lines.readline())
        assert "question" in json.loads(lines.readline())
        send({"id": 1, "answer": "to another", "number": 2})
        send({"id": 2, "answer": "of another", "number": 1})
        send({"id": 1, "answer": ANSWER, "number": 1})
        assert json.loads(lines.readline()) == {"id": 1, "result": None}
        send({"id": 1, "answer": "late", "number": 1})
        send({"id": 3, "method": "status"})
        assert json.loads(lines.readline())["id"] == 3
    assert served.backend.calls[-1] == f"answered {ANSWER}"


def test_what_goes_on_after_the_request_has_nobody_to_ask() -> None:
    async def story() -> None:
        async def send(_line: object) -> None:
            raise AssertionError("nobody is asked")

        with Asker(1, send) as asker:
            assert prompter.get() is asker
        with pytest.raises(NobodyToAskError):
            await ask(QUESTION)

    asyncio.run(story())


def test_a_client_that_goes_is_asked_no_more(served: ServedBackend) -> None:
    with conversation(served) as (send, lines):
        send({"id": 1, "method": "start", "params": {"name": "sandbox"}})
        assert "progress" in json.loads(lines.readline())
        assert "question" in json.loads(lines.readline())
    with ApiClient.connect(served.paths.api_socket) as client:
        assert client.call("status")["protocol"] == PROTOCOL
    until(lambda: served.backend.calls == ["start sandbox"], "its end")
