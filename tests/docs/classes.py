"""What a test does with each command of the documents: runs it, or has a reason why not.

Rules: a section is in one of the two tables, or has no commands. A reason that names a test is only
as good as that test: it has to exist. What is not run is parsed all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["NOT_RUN", "PLAYED", "STAND_INS", "UNANSWERED", "WRONG"]

PLAYED: Final[Mapping[str, tuple[str, ...]]] = {
    "docs/guide.md": (
        "The sandbox",
        "Reach a server of this computer from a container",
        "Share only on this computer, or with the network",
        "Move a port",
        "Leave a port alone",
        "Find who has my port",
        "Run a database",
        "Run a DNS server",
        "Run a game server",
        "Run Home Assistant",
        "Several machines",
        "Lock it off for a company",
        "Ask by a script",
        "When something does not work",
    ),
    "docs/troubleshooting.md": ("Troubleshooting", "None of this helps"),
}
"""Sections that are played through in a sandbox, in this order."""

EXAMPLES: Final = (
    "tests/integration/test_main_job.py::test_the_documented_example_works_on_a_terminal"
)
TOUR: Final = (
    "tests/integration/test_tour.py"
    "::test_the_tour_shows_both_examples_twice_and_the_takedown_leaves_nothing"
)
WHEEL: Final = "an environment of its own by tests/packaging/test_wheel.py"
SSH: Final = "tests/integration/test_ssh.py::test_status_says_how_the_machine_is_reached"
STEPS: Final = (
    "tests/integration/test_ssh.py"
    "::test_doctor_shows_each_step_with_its_evidence_beside_a_running_daemon"
)

NOT_RUN: Final[Mapping[tuple[str, str], str]] = {
    ("README.md", "Two commands"): f"run by {TOUR} and {EXAMPLES}",
    ("README.md", "What it looks like"): "an example with a person's own servers",
    ("CONTRIBUTING.md", "Contributing"): "make's targets run for minutes; they are looked up",
    ("docs/guide.md", "Lima"): "Lima is not here",
    ("docs/guide.md", "Colima"): "Colima is not here",
    ("docs/guide.md", "Podman machine"): "Podman's machine needs a hypervisor",
    ("docs/guide.md", "WSL"): "Windows is not here",
    ("docs/guide.md", "A Linux computer over SSH"): f"needs a server of that name; see {SSH}",
    ("docs/guide.md", "Start with the computer"): "would change what starts with this computer",
    ("docs/how-it-works.md", "Where the agent may run"): "Samehost itself does it, with more",
    ("docs/install.md", "With pip, pipx or uv"): f"has VERSION; the wheel is put into {WHEEL}",
    ("docs/install.md", "Debian"): "done in clean systems by make dist-test",
    ("docs/machines.md", "Machines"): "an example with machines of many tools",
    ("docs/machines.md", "Which one is used"): "has NAME in the place of a machine",
    ("docs/machines.md", "The helper container"): "Samehost itself does it, with more",
    ("docs/reference.md", "Prometheus"): "has FOLDER in the place of a folder",
    ("docs/ssh.md", "Machines over SSH"): f"needs a server of that name; see {SSH}",
    ("docs/ssh.md", "When it does not work"): f"needs a server of that name; see {STEPS}",
    ("docs/window.md", "Getting it"): "needs a screen; see tests/gui/test_screen.py",
}
"""Sections whose commands are only parsed, and why."""

UNANSWERED: Final[Mapping[str, str]] = {
    "docker": "this computer has no engine of its own",
    "psql": "the image that stands for the database only listens",
    "dig": "the image that stands for the DNS server only listens",
}
"""Programs whose lines are not run in a section that is played, and why."""

WRONG: Final = frozenset({"tcp:80,tcp:80-70"})
"""Values that are wrong on purpose, to show what is said then."""

STAND_INS: Final[Mapping[str, str]] = {
    "python:3-slim": (
        "mkdir /www; echo hello > /www/index.html; busybox httpd -f -p 0.0.0.0:8000 -h /www ||"
        " echo 'OSError: [Errno 98] Address already in use'"
    ),
    "busybox": 'exec "$@"',
    "postgres:17": "exec /bin/nc -lk 0.0.0.0 5432",
    "coredns/coredns": "/bin/nc -lk 0.0.0.0 1053 & exec /bin/nc -lku 0.0.0.0 1053",
    "itzg/minecraft-bedrock-server": "exec /bin/nc -lku 0.0.0.0 19132",
    "homeassistant/home-assistant:stable": "exec /bin/nc -lk 0.0.0.0 8123",
}
"""There is no registry for tests: what an image of the guide is replaced by, a shell's command."""
