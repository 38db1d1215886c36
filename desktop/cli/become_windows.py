"""Another program in our place on Windows: a child that we wait for.

There a process cannot become another: what C's `_execve` starts is a second one, of which the shell
knows nothing, so the shell would go on at once, without its exit code. Nor does `_execve` keep
together an argument that has blanks in it. Source: learn.microsoft.com, "_exec, _wexec Functions";
"Console Control Handlers" (every process of a console is told of Ctrl-C and Ctrl-Break, and one
that does not heed them goes on); "signal" (SIG_IGN is this process's own, and not
handed on to children).

Limits: has run under Wine only. Counterpart: `become.py`.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from desktop.programs import program_file

__all__ = ["become"]

INTERRUPTS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGBREAK") if hasattr(signal, name)
)
SIGN: Final = 1 << 31
"""Exit codes have 32 bits without a sign, of which Python takes those of a C int."""


def become(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """See `become.Become`."""
    command = [program_file(program, environment.get("PATH", ""), "nt"), *arguments]
    with _interrupts_left_to_others(), subprocess.Popen(command, env=dict(environment)) as child:
        code = child.wait()
    return code - 2 * SIGN if code >= SIGN else code


@contextlib.contextmanager
def _interrupts_left_to_others() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
