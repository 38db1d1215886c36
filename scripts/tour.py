"""`make up`: starts Samehost with its sandbox and shows both directions; leaves it running.

Uses only the `samehost` command, as a user would, and may be run again at any time: what is
there already is kept.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, TypeVar

from desktop.paths import HOME_VARIABLE
from scripts import demo_image
from scripts.commands import LINK, SAMEHOST, StepFailedError, is_our_link, samehost, say

__all__ = ["main"]

EXAMPLE: Final = "samehost-example"
PAGE: Final = "samehost-page"
PAGE_PORT: Final = 8088
PAGE_COMMAND: Final = (
    "mkdir /www; echo 'A page from a container with --net=host.' > /www/index.html; "
    f"exec busybox httpd -f -p {PAGE_PORT} -h /www"
)
IMAGE: Final = demo_image.IMAGE.removesuffix(":latest")
LISTENER_PORT: Final = 8000
WEB_PORT: Final = 80
PATIENCE_S: Final = 10.0
INTERVAL_S: Final = 0.05
REQUEST: Final = "GET / HTTP/1.0\r\n\r\n"
ANSWER_LINES: Final = 12

_Found = TypeVar("_Found")
Row = dict[str, Any]


def main() -> int:
    """Run the demonstration; the exit code."""
    try:
        _start()
        _container_to_desktop()
        with _web_server():
            _desktop_to_container()
            _published_ports()
            _keep_a_page()
            _heading("The ports that both sides share now")
            samehost("ports")
        _end_example()
        _what_next()
    except StepFailedError as error:
        say("\nThe demonstration stopped here. Again: make up    End everything: make down")
        return error.code
    except KeyboardInterrupt:
        say("\nInterrupted; what runs goes on. Again: make up    End everything: make down")
        return 130
    return 0


def _start() -> None:
    _heading("Starting Samehost and its machine")
    samehost("up", "--machine", "sandbox")
    samehost("enable")
    _make_link()
    key = demo_image.cache_key()
    form = f'{{{{index .Config.Labels "{demo_image.KEY_LABEL}"}}}}'
    loaded = samehost("docker", "image", "inspect", "-f", form, IMAGE, quiet=True, check=False)
    if loaded.stdout.strip() != key:
        say(f"making {IMAGE} from the Debian packages {', '.join(demo_image.PACKAGES[:3])}")
        samehost("docker", *demo_image.import_arguments(demo_image.build()), quiet=True)


def _make_link() -> None:
    """So that `samehost` can be typed, in this terminal and others."""
    if is_our_link():
        return
    try:
        LINK.symlink_to(SAMEHOST)
    except FileExistsError:
        say(f"{LINK} is something else and stays; the command is {SAMEHOST}")
    except OSError as error:
        say(f"{LINK} cannot be made ({error.strerror}); the command is {SAMEHOST}")
    else:
        say(f"made {LINK}, so that you can type: samehost")


def _container_to_desktop() -> None:
    _heading("1. A container listens on port 8000: this computer's localhost:8000 reaches it")
    if _is_running(EXAMPLE):
        samehost("docker", "rm", "-f", EXAMPLE, quiet=True)
    elif _rows("machine", LISTENER_PORT):
        say("(a container of yours has port 8000: that one is left alone)")
        return
    run = ("docker", "run", "-d", "--rm", "--name", EXAMPLE, "--net=host", IMAGE)
    samehost(*run, "nc", "-lkv", "0.0.0.0", str(LISTENER_PORT))
    row = _wait_for_row("machine", LISTENER_PORT)
    if row is None or row["state"] != "active":
        say(_not_active(row, LISTENER_PORT))
        return
    words = f"hello from this computer at {datetime.now().astimezone():%H:%M:%S}"
    say(f"$ echo {words!r} | nc -N localhost {LISTENER_PORT}")
    with socket.create_connection(("localhost", LISTENER_PORT), timeout=PATIENCE_S) as connection:
        connection.sendall(f"{words}\n".encode())
    logs = ("docker", "logs", "--tail", "2", EXAMPLE)
    if not _wait_for(lambda: words in samehost(*logs, quiet=True).stdout):
        say("What was typed has not arrived; see: samehost logs")
        raise StepFailedError(1)
    samehost(*logs)


@contextlib.contextmanager
def _web_server() -> Iterator[None]:
    """A web server on port 80 of this computer, unless one is there or it is not permitted."""
    _heading("2. A web server on this computer's port 80: a container's localhost:80 reaches it")
    try:
        server = ThreadingHTTPServer(("127.0.0.1", WEB_PORT), _Page)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            say(f"Port {WEB_PORT} cannot be opened here ({error.strerror}), so no web server.")
        else:
            say("(a server of yours has port 80: the container will reach that one)")
        yield
        return
    say("(for this demonstration, a small web server runs on 127.0.0.1:80)")
    thread = threading.Thread(target=server.serve_forever, name="web server")
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Page(BaseHTTPRequestHandler):
    """One page for everybody."""

    def do_GET(self) -> None:
        """Answer with a line of text."""
        body = f"This is the web server of {socket.gethostname()}, the computer itself.\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


def _desktop_to_container() -> None:
    row = _wait_for_row("host", WEB_PORT)
    if row is None or row["state"] != "active":
        say(_not_active(row, WEB_PORT))
        return
    run = ("docker", "run", "--rm", "-i", "--net=host", IMAGE, "nc", "-N", "localhost", "80")
    say(f"$ printf 'GET / HTTP/1.0\\r\\n\\r\\n' | samehost {' '.join(run)}")
    answer = samehost(*run, feed=REQUEST, quiet=True).stdout.splitlines()
    say("\n".join(answer[:ANSWER_LINES]))
    if not answer:
        say("There was no answer; see: samehost logs")
        raise StepFailedError(1)


def _published_ports() -> None:
    _heading("With --net=host, -p has no meaning, and Docker says so")
    samehost("docker", "run", "--rm", "--net=host", "-p", "8080:80", IMAGE, "true")


def _keep_a_page() -> None:
    """Something that goes on running, so that there is something to look at."""
    if not _is_running(PAGE):
        run = ("docker", "run", "-d", "--rm", "--name", PAGE, "--net=host", IMAGE)
        samehost(*run, "sh", "-c", PAGE_COMMAND, quiet=True)
    _wait_for_row("machine", PAGE_PORT)


def _end_example() -> None:
    """Port 8000 is for whoever wants to type the first example."""
    if _is_running(EXAMPLE):
        samehost("docker", "rm", "-f", EXAMPLE, quiet=True)


def _is_running(container: str) -> bool:
    found = samehost("docker", "ps", "-q", "--filter", f"name=^{container}$", quiet=True).stdout
    return bool(found.strip())


def _rows(origin: str, port: int) -> list[Row]:
    """The rows of a real listener's port."""
    rows = json.loads(samehost("ports", "--json", quiet=True).stdout)
    side = "machine_port" if origin == "machine" else "host_port"
    return [row for row in rows if row["origin"] == origin and row[side] == port]


def _wait_for_row(origin: str, port: int) -> Row | None:
    """The port's row once it is no longer pending; None if there is none in time."""

    def find() -> Row | None:
        settled = [row for row in _rows(origin, port) if row["state"] != "pending"]
        return min(settled, key=lambda row: row["state"] != "active", default=None)

    return _wait_for(find)


def _wait_for(find: Callable[[], _Found]) -> _Found:
    """What `find` gives, as soon as that is something, or else at last."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := find()) and time.monotonic() < deadline:
        time.sleep(INTERVAL_S)  # each look is a command of its own; nothing announces the change
    return found


def _not_active(row: Row | None, port: int) -> str:
    if row is None:
        return f"Port {port} has not appeared; see: samehost logs"
    return f"Port {port} is not shared now: {row['state']}, {row['reason']}"


def _what_next() -> None:
    _heading("Samehost, its machine and a page on port 8088 go on running. Now type")
    home = os.environ.get(HOME_VARIABLE)
    if home:
        say(f"  export {HOME_VARIABLE}={home}")
    command = "samehost" if is_our_link() else str(SAMEHOST)
    say(f"""\
  {command} docker run --rm -it --net=host {IMAGE} nc -lkv 0.0.0.0 {LISTENER_PORT}
      and in another terminal:  nc localhost {LISTENER_PORT}
  curl http://localhost:{PAGE_PORT}/         a page from a container
  {command} ports --watch            the table, live
  {command} disable                  and enable: live, no container restarts
  make down                         ends all of it""")


def _heading(text: str) -> None:
    say(f"\n{text}\n{'-' * len(text)}")
