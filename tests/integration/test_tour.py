"""`make up` and `make down` as root's first use, in a network, a /run and a home of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

TOUR_SECONDS: Final = 240.0
"""For all of it; takes 20 on an idle computer."""

pytestmark = pytest.mark.timeout(TOUR_SECONDS + 60)

IN_A_NETWORK_OF_ITS_OWN = """
ip link set lo up
mount -n -t tmpfs tmpfs /run
mount -n -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work"
mount -n -t overlay -o "lowerdir=/usr/local/bin,upperdir=$1/upper,workdir=$1/work" overlay \\
    /usr/local/bin
shift
python=$1
"$python" -m scripts.run tour; echo "first: $?"
"$python" -m scripts.run tour; echo "second: $?"
"$python" -m desktop.cli.main docker run --rm --net=host samehost/netshoot \\
    sh -c '/bin/nc -l 0.0.0.0 8000 & sleep 0.3; kill $!'; echo "example: $?"
test -L /usr/local/bin/samehost; echo "command: $?"
"$python" -m scripts.run takedown; echo "down: $?"
test -e /usr/local/bin/samehost; echo "no command: $?"
ls /run | sed 's/^/in run: /'
ip -brief link
"""


def test_the_tour_shows_both_examples_twice_and_the_takedown_leaves_nothing(
    short_home: Path,
) -> None:
    home, scratch = short_home / "home", short_home / "scratch"
    scratch.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment = {**kept, "HOME": str(home)}
    environment.pop("SAMEHOST_HOME", None)
    command = ["unshare", "--net", "--mount", "sh", "-u", "-c", IN_A_NETWORK_OF_ITS_OWN, "-"]
    result = subprocess.run(
        [*command, str(scratch), sys.executable],
        capture_output=True,
        text=True,
        check=False,
        timeout=TOUR_SECONDS,
        cwd=Path(__file__).parents[2],
        env=environment,
    )
    lines = result.stdout.splitlines()
    said = f"{result.stdout}\n{result.stderr}"
    for line in ("first: 0", "second: 0", "command: 0", "down: 0", "no command: 1"):
        assert line in lines, said
    assert sum(line.startswith("hello from this computer") for line in lines) == 2, said
    assert sum(line.startswith("This is the web server of") for line in lines) == 2, said
    assert result.stderr.count("Published ports are discarded") == 2, said
    assert sum("0.0.0.0:8088" in line and "active" in line for line in lines) == 2, said
    assert "example: 0" in lines, said
    assert [line for line in lines[lines.index("no command: 1") + 1 :] if line[:2] != "lo"] == []
    assert [path for path in home.rglob("*") if path.is_file() or "samehost" in path.name] == []
