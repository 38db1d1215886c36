"""Coverage-guided fuzzing with atheris: `python -m tests.fuzz [TARGET…] --seconds N`.

    corpus/TARGET.hex and the parser's seeds ─▶ build/fuzz/TARGET ─▶ libFuzzer ─▶ corpus/TARGET.hex

Rules: each target runs in a process of its own (libFuzzer never returns). What breaks a parser is
left in `build/fuzz/TARGET/broken`, and the exit status is 1; new inputs that reach something are
added to the corpus. Counterpart: `scripts/setup fuzz` installs it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.fuzz.corpus import TARGETS, load, save, smallest

__all__ = ["main"]

BUILD: Final = Path("build/fuzz")
INPUT_SECONDS: Final = 5
"""One input that takes longer is a finding."""
MEMORY_MIB: Final = 1024
LONGEST_INPUT: Final = 4096

_EXECUTED: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def main(arguments: list[str] | None = None) -> int:
    """Fuzz each target; 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--within", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    targets = options.targets or list(TARGETS)
    if unknown := set(targets) - TARGETS.keys():
        parser.error(f"no target {', '.join(sorted(unknown))}")
    if options.within:
        _fuzz(targets[0], Path(options.within), options.seconds)
    broken = [target for target in targets if _run(target, options.seconds)]
    return int(bool(broken))


def _run(target: str, seconds: int) -> bool:
    """Fuzz one target in a process of its own; True if something was found."""
    folder = BUILD / target
    inputs = folder / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    for data in [*load(target), *TARGETS[target].seeds]:
        (inputs / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    command = [sys.executable, "-m", "tests.fuzz", target, "--within", str(folder)]
    done = subprocess.run(
        [*command, "--seconds", str(seconds)], capture_output=True, text=True, check=False
    )
    (folder / "log").write_text(done.stdout + done.stderr)
    executed = _EXECUTED.search(done.stderr)
    verdict = f"BROKEN, see {folder}/log"
    if not done.returncode:
        kept = smallest(TARGETS[target], [path.read_bytes() for path in inputs.iterdir()])
        save(target, kept)
        verdict = f"{len(kept)} inputs kept"
    print(f"{target}: {executed[1] if executed else '?'} inputs in {seconds} s; {verdict}")  # noqa: T201
    return bool(done.returncode)


def _fuzz(target: str, folder: Path, seconds: int) -> None:
    """Never returns."""
    atheris: Any = importlib.import_module("atheris")
    for name in [each for each in sys.modules if each.startswith(("link", "tests.fuzz.of_link"))]:
        del sys.modules[name]
    with atheris.instrument_imports(include=["link"]):
        table: Any = importlib.import_module("tests.fuzz.of_link")
    parser = next(each for each in table.OF_LINK if each.name == TARGETS[target].name)

    def one(data: bytes) -> None:
        try:
            parser.parse(data)
        except parser.error:
            return

    broken = folder / "broken"
    broken.mkdir(exist_ok=True)
    limits = (
        f"-max_total_time={seconds}",
        f"-timeout={INPUT_SECONDS}",
        f"-max_len={LONGEST_INPUT}",
    )
    places = (f"-artifact_prefix={broken}/", f"-rss_limit_mb={MEMORY_MIB}", str(folder / "inputs"))
    atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", *places], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
