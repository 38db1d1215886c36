"""A program that stands in for wsl.exe, with distributions that are this computer, or a sandbox.

It takes the options that Samehost uses, keeps which distribution runs, and speaks of its own as
wsl.exe does: on standard output, in UTF-16LE unless it knows WSL_UTF8, with -1 for its status,
which is 255 here.
What it runs does not end with it, but loses its input and output; `--terminate` ends it.

Rules: what it has run and is left at the end, `close` kills. Counterparts: `fake_tools.py` for the
folder; `desktop/machines/wsl_shell.py` for what was read of the real one.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.fake_tools import FakeTools
from tests.recordings import wsl

__all__ = ["FakeWsl"]

SCRIPT: Final = """\
here=@HERE@
said() {
    if [ "$WSL_UTF8" = 1 ] && [ -e "$here/knows-utf8" ]; then
        sed 's/$/\\r/'
    else
        sed 's/$/\\r/' | iconv -f UTF-8 -t UTF-16LE
    fi
}
fail() { said < "$here/messages/$1"; exit 255; }
known() { [ -e "$here/distributions/$1" ] || fail not-found; }
[ ! -e "$here/complaint" ] || fail "$(cat "$here/complaint")"
name= user=
while [ $# -gt 0 ]; do
    case $1 in
        --distribution) known "$2"; name=$2; shift 2 ;;
        --user) user=$2; shift 2 ;;
        --exec) shift; break ;;
        --list)
            cd "$here/distributions"
            { echo "  NAME  STATE  VERSION"
              for each in *; do echo "  $each  $(cat "$each")  2"; done; } | said
            exit 0 ;;
        --terminate)
            known "$2"
            while read -r session; do kill -KILL -- "-$session" 2>/dev/null; done < "$here/pids"
            echo Stopped > "$here/distributions/$2"
            exit 0 ;;
        *) fail usage ;;
    esac
done
[ $# -gt 0 ] && [ -n "$name" ] || fail usage
case $user in ''|root) ;; *) fail no-user ;; esac
echo Running > "$here/distributions/$name"
if [ "$1" = wslinfo ]; then cat "$here/mode"; exit; fi
exec python3 -I -S "$here/relay.py" "$here/pids" @INSIDE@ "$@"
"""

RELAY: Final = """\
import os, subprocess, sys, threading
pipe = subprocess.PIPE
child = subprocess.Popen(sys.argv[2:], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
with open(sys.argv[1], "a") as pids:
    print(child.pid, file=pids)
def pump(source, target):
    try:
        while data := os.read(source, 1 << 16):
            while data:
                data = data[os.write(target, data):]
    except OSError:
        pass
    os.close(source)
    os.close(target)
pairs = (0, child.stdin.fileno()), (child.stdout.fileno(), 1), (child.stderr.fileno(), 2)
threads = [threading.Thread(target=pump, args=pair, daemon=True) for pair in pairs]
for thread in threads:
    thread.start()
for thread in threads[1:]:
    thread.join()
status = child.wait()
os._exit(status if status >= 0 else 128 - status)
"""
"""What Samehost has started becomes this: pipes to a program in a session of its own, which has
lost its input and output when this is killed."""


class FakeWsl(FakeTools):
    """See the module. `inside` is a command that goes into the machine, before one to run there.

    Attributes:
        relay: is on the command line of each wsl.exe that runs a program.
    """

    def __init__(
        self, folder: Path, *, inside: Sequence[str] = (), knows_utf8: bool = True
    ) -> None:
        super().__init__(folder)
        self._state = folder
        self.pids.touch()
        (folder / "distributions").mkdir()
        (folder / "messages").mkdir()
        for name, words in wsl.COMPLAINTS.items():
            (folder / "messages" / name).write_text(words)
        if knows_utf8:
            (folder / "knows-utf8").touch()
        self.relay = folder / "relay.py"
        self.relay.write_text(RELAY)
        self.network("nat")
        script = SCRIPT.replace("@HERE@", shlex.quote(str(folder)))
        self.script("wsl.exe", script.replace("@INSIDE@", shlex.join(inside)))

    def install(self, distribution: str, state: str = "Stopped") -> None:
        """Let there be such a distribution."""
        (self._state / "distributions" / distribution).write_text(f"{state}\n")

    def state(self, distribution: str) -> str:
        """Its word for what the distribution does."""
        return (self._state / "distributions" / distribution).read_text().strip()

    def network(self, mode: str) -> None:
        """The networking mode, as `wslinfo` says it."""
        (self._state / "mode").write_text(f"{mode}\n")

    def complain(self, which: str) -> None:
        """Fail from now on, with one of the complaints in `recordings/wsl.py`."""
        (self._state / "complaint").write_text(which)

    def close(self) -> None:
        """Kill the sessions that are left."""
        for pid in self.alive():
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(pid) == pid:
                    os.killpg(pid, signal.SIGKILL)
