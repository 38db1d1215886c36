"""Checks of the agents: what they may do, how they find ports, and what the time is there.

Counterparts: `vmagent/condition.py` tells; the words on watching are those of `vmagent/watch/`, as
docs/reference.md has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from desktop.doctor.patient import Patient
from desktop.doctor.verdict import NotSeenError, Verdict, error, note, ok, skipped, warning, worst

__all__ = [
    "check_capabilities",
    "check_clock",
    "check_watcher",
    "judge_capabilities",
    "judge_clock",
    "judge_watcher",
]

NEEDED: Final = {
    1: ("CAP_DAC_OVERRIDE", "other users' processes and engines"),
    10: ("CAP_NET_BIND_SERVICE", "this computer's ports below 1024"),
    12: ("CAP_NET_ADMIN", "news of sockets that close, and eBPF"),
    19: ("CAP_SYS_PTRACE", "telling whose a socket is"),
}
"""By bit (linux/capability.h): its name, and what is lost without it."""
SYS_ADMIN: Final = 1 << 21
PERFMON_AND_BPF: Final = 1 << 38 | 1 << 39
"""Either of these two is needed for eBPF."""

MOST_CLOCK_SECONDS: Final = 2.0
"""Clocks that differ by more surprise people: certificates, logs, files' times."""

NO_EBPF: Final = "(no eBPF: "
OFF: Final = "off by the settings"
TROUBLES: Final = ("no telling", "only containers of known engines", "which fails", "TCP only")
"""Words with which the agent says that something is lost."""
MISHAPS: Final = ("detached", "lost and made up for")


async def check_watcher(patient: Patient) -> Verdict:
    """How containers' ports are found, and why not better."""
    machines = [
        (machine["name"], judge_watcher(machine["watcher"]))
        for machine in (await patient.status())["machines"]
        if machine["watcher"]
    ]
    if not machines:
        raise NotSeenError("no agent is connected: see the check machine")
    return worst(machines)


def judge_watcher(words: str) -> Verdict:
    """By what the agent says of itself, as `status` shows it."""
    if any(trouble in words for trouble in TROUBLES):
        return warning(words, "what it says is not seen is not mirrored; the words have the remedy")
    if OFF in words:
        return note(words, "better: samehost settings set ebpf auto, then samehost down and up")
    if NO_EBPF in words or not words.startswith("eBPF"):
        return note(
            f"{words}: a port appears within 0.15 s instead of at once",
            "eBPF needs kernel 5.9, cgroup v2 and an agent that is root on the machine itself",
        )
    if any(mishap in words for mishap in MISHAPS):
        return note(words, "somebody else uses eBPF there, or there was a storm of ports")
    if "by stubs" in words:
        return note(words, "to redirect instead, the machine needs Linux 5.18 and cgroup v2")
    return ok(words)


async def check_capabilities(patient: Patient) -> Verdict:
    """The agents may do all that they need to."""
    return _of_all(await patient.conditions(), judge_capabilities, _no_answer)


def judge_capabilities(condition: dict[str, Any]) -> Verdict:
    """By the bits of its effective capabilities."""
    bits = condition["capabilities"]
    lost = [f"{name} ({use})" for bit, (name, use) in NEEDED.items() if not bits >> bit & 1]
    if not bits & SYS_ADMIN and bits & PERFMON_AND_BPF != PERFMON_AND_BPF:
        lost.append("CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON (eBPF)")
    if not lost:
        return ok(f"user {condition['uid']} with all that the agent needs")
    return warning(
        f"user {condition['uid']} without {', '.join(lost)}",
        "let the agent be root in the machine, or its container --privileged",
    )


async def check_clock(patient: Patient) -> Verdict:
    """The clocks agree."""
    return _of_all(await patient.conditions(), judge_clock)


def judge_clock(condition: dict[str, Any]) -> Verdict:
    """By how far they differ for sure."""
    difference = condition["clock_difference_s"]
    uncertainty = condition["clock_uncertainty_s"]
    words = f"{abs(difference):.3f} s {'ahead' if difference > 0 else 'behind'}"
    words = f"the machine's clock is {words} (within {uncertainty:.3f} s)"
    if abs(difference) - uncertainty <= MOST_CLOCK_SECONDS:
        return ok(words)
    return warning(
        words,
        "in the machine: sudo chronyc makestep, or sudo timedatectl set-ntp true; or restart it",
    )


def _no_answer(problem: str) -> Verdict:
    return error(problem, "if it stays so: samehost down, then samehost up")


def _of_all(
    conditions: list[dict[str, Any]],
    judge: Callable[[dict[str, Any]], Verdict],
    without_answer: Callable[[str], Verdict] = skipped,
) -> Verdict:
    if not conditions:
        raise NotSeenError("no agent is connected: see the check machine")
    return worst(
        [
            (each["name"], without_answer(each["problem"]) if each["problem"] else judge(each))
            for each in conditions
        ]
    )
