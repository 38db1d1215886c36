"""Questions of the daemon to the client that asked for something: the way back of a request.

    server: {"id": 1, "question": "Password of me@box:", "secret": true, "number": 1}
    client: {"id": 1, "answer": "…", "number": 1}       or null: nobody answers

Rules: a question belongs to a request under way, and is asked of nobody once that has ended, or its
client has gone. A client that does not answer holds up its own request only. Answers are in no log.

Counterparts: `connection.py` reads the answers, `client.py` gives them, `desktop/prompter.py` is
what asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Self

from desktop.prompter import NobodyToAskError, prompter

__all__ = ["Asker"]

LONGEST_QUESTION: Final = 1000
"""Characters: some are a server's words."""


class Asker:
    """The person behind one request; in its context while that is under way, as a manager.

    `send` sends a line.
    """

    def __init__(self, request_id: int, send: Callable[[object], Awaitable[None]]) -> None:
        self._id = request_id
        self._send = send
        self._count = 0
        self._waiting: dict[int, asyncio.Future[str]] = {}
        self._is_over = False

    def __enter__(self) -> Self:
        prompter.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever was begun in the request and goes on has nobody to ask any more."""
        self._is_over = True
        for number in list(self._waiting):
            self.answer(number, None)

    async def ask(self, question: str, *, is_secret: bool) -> str:
        """See `Prompter`."""
        if self._is_over:
            raise NobodyToAskError
        self._count += 1
        number = self._count
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            line = {"question": question[:LONGEST_QUESTION], "secret": is_secret, "number": number}
            await self._send({"id": self._id, **line})
            return await answer
        finally:
            self._waiting.pop(number, None)

    def answer(self, number: int, text: str | None) -> None:
        """What the client said. One that was not asked, or not any more, is not heard."""
        waiting = self._waiting.pop(number, None)
        if waiting is None or waiting.done():
            return
        if text is None:
            waiting.set_exception(NobodyToAskError())
        else:
            waiting.set_result(text)
