"""Checks of the daemon: is it there, does it answer, and is it of this version.

Counterparts: `checks.py`; `desktop/api/client.py` is how it is asked.
"""

from __future__ import annotations

from desktop.api.client import NoAnswerError
from desktop.doctor.patient import Patient
from desktop.doctor.verdict import Verdict, error, note, ok, warning
from desktop.errors import NotRunningError, VersionMismatchError
from desktop.processes import ending_words, going_on_words, is_stopped
from link.version import PROTOCOL, VERSION

__all__ = ["check_daemon", "check_protocol"]


async def check_daemon(patient: Patient) -> Verdict:
    """It runs and answers."""
    try:
        view = await patient.daemon()
    except NoAnswerError as reason:
        pid = await patient.daemon_pid()
        if pid and is_stopped(pid):
            return error(f"the daemon, process {pid}, was suspended", going_on_words(pid))
        if not pid:
            return error(reason.message, reason.remedy)
        return error(
            f"{reason.message}: process {pid} hangs",
            f"{reason.remedy}\nif it stays: {ending_words(pid)}",
        )
    except VersionMismatchError as reason:
        return warning(f"it answers; {reason.message}", "see the check protocol")
    whose = f"process {view.pid}, " if view.pid else ""
    return ok(f"{whose}version {view.version}, up for {view.status['uptime_s']:.0f} s")


async def check_protocol(patient: Patient) -> Verdict:
    """Command, daemon and agents are of one version."""
    try:
        view = await patient.daemon()
    except VersionMismatchError as reason:
        return error(reason.message, reason.remedy)
    except (NotRunningError, NoAnswerError):
        return Verdict(
            "skipped", f"this command is {VERSION} (protocol {PROTOCOL}); no daemon answers"
        )
    if view.version != VERSION:
        return warning(
            f"the daemon is {view.version}, this command {VERSION} (both protocol {PROTOCOL})",
            "restart the daemon: samehost down, then samehost up",
        )
    machines = [each for each in view.status["machines"] if each["state"] == "connected"]
    others = [
        f"{machine['name']} has {machine['agent_version']}"
        for machine in machines
        if machine["agent_version"] != VERSION
    ]
    if others:
        remedy = "restart the daemon, which sends its own agent: samehost down, then samehost up"
        return warning(f"agents of another version than {VERSION}: {', '.join(others)}", remedy)
    agents = [machine["name"] for machine in machines]
    of_agents = f" and the agent in {', '.join(agents)}" if agents else ""
    words = f"command, daemon{of_agents}: {VERSION}, protocol {PROTOCOL}"
    return ok(words) if agents else note(f"{words}; no agent is connected")
