"""The checks of machines, agents, engines and ports, in each of their states."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from desktop.doctor.agent import (
    check_capabilities,
    check_clock,
    check_watcher,
    judge_capabilities,
    judge_clock,
    judge_watcher,
)
from desktop.doctor.engine import check_engine, judge_engines
from desktop.doctor.machine import check_machine, check_python
from desktop.doctor.patient import MachineView, Patient
from desktop.doctor.ports import check_forwarders, check_ports
from desktop.doctor.settings import check_settings, check_switch
from desktop.doctor.verdict import NotSeenError
from desktop.machines.examination import Finding
from desktop.paths import Paths
from link.listener import Listener
from tests.capabilities import LINUX_KERNEL, UNIX_SOCKETS, needs
from tests.unit.doctor.worlds import ALL, Words, condition, row, status, verdict

LIMITS = "256 streams at once"


def unreached(*steps: Finding) -> Words:
    """A patient whose machine is not connected; our own way there went so."""
    patient = Words.without_daemon()
    patient.views = [MachineView("box", None, steps)]
    return patient


def test_a_connected_machine_is_told_with_its_kernel_and_transport() -> None:
    found = verdict(check_machine, Words())
    assert (found.state, found.remedy) == ("ok", "")
    assert found.evidence == "sandbox is connected: kernel 6.1, over memory"


def test_the_limits_of_a_transport_are_a_note() -> None:
    patient = Words()
    patient.said = status(transport_limits=LIMITS)
    found = verdict(check_machine, patient)
    assert (found.state, LIMITS in found.evidence) == ("note", True)


def test_a_machine_that_is_not_reached_is_an_error_at_the_step_that_failed() -> None:
    patient = unreached(
        Finding("name", "ok"),
        Finding("log-in", "failed", "permission denied", "add your key"),
        Finding("python", "not reached"),
    )
    found = verdict(check_machine, patient)
    assert (found.state, found.evidence) == (
        "error",
        "box: log-in: permission denied (well so far: name)",
    )
    assert found.remedy.splitlines()[0] == "add your key"
    assert verdict(check_python, patient).state == "skipped"
    assert verdict(check_engine, patient).state == "skipped"


def test_a_machine_that_could_be_connected_and_is_not_is_a_warning() -> None:
    patient = unreached(
        Finding("python", "ok", "3.9 /usr/bin/python3"),
        Finding("engine", "ok", "/run/docker.sock"),
        Finding("handshake", "ok", "answers in 1 ms"),
    )
    found = verdict(check_machine, patient)
    assert (found.state, "handshake: answers in 1 ms" in found.evidence) == ("warning", True)
    assert verdict(check_python, patient).evidence == "3.9 /usr/bin/python3"
    assert verdict(check_engine, patient).evidence == "/run/docker.sock"


def test_a_machine_without_python_is_an_error_with_the_remedy() -> None:
    patient = unreached(Finding("python", "failed", "there is no python3", "install it"))
    found = verdict(check_python, patient)
    assert (found.state, found.evidence, found.remedy) == (
        "error",
        "there is no python3",
        "install it",
    )
    assert verdict(check_python, Words()).evidence == "the agent runs on Python 3.11"


def test_of_several_machines_the_worst_counts_and_all_are_told() -> None:
    patient = unreached(Finding("log-in", "failed", "no", "key"))
    patient.views = [
        *(patient.views or ()),
        MachineView("sandbox", status()["machines"][0]),
    ]
    found = verdict(check_machine, patient)
    assert found.state == "error"
    assert "box: box: log-in: no" in found.evidence
    assert "sandbox: sandbox is connected" in found.evidence


EBPF = "eBPF, sock_diag; the desktop's ports by redirect"


@pytest.mark.parametrize(
    ("words", "state", "remedy"),
    [
        (EBPF, "ok", ""),
        ("eBPF of all network namespaces, sock_diag", "ok", ""),
        (f"{EBPF.replace('redirect', 'stubs (too old)')}", "note", "5.18"),
        (f"{EBPF}; detached and healed once", "note", "somebody else"),
        (f"{EBPF}; 3 events lost and made up for", "note", "storm"),
        ("sock_diag, destroy events (no eBPF: off by the settings)", "note", "set ebpf auto"),
        ("sock_diag polling (no eBPF: Operation not permitted)", "note", "kernel 5.9"),
        ("sock_diag, destroy events, TCP only (no eBPF: x)", "warning", "not mirrored"),
        ("sock_diag polling; no telling which listeners are containers'", "warning", "not"),
        (f"{EBPF}, which fails: EPERM", "warning", "not"),
    ],
)
def test_the_way_of_watching_is_judged(words: str, state: str, remedy: str) -> None:
    found = judge_watcher(words)
    assert (found.state, words in found.evidence, remedy in found.remedy) == (state, True, True)


def test_the_words_on_watching_are_those_of_the_reference() -> None:
    reference = (Path(__file__).parents[3] / "docs" / "reference.md").read_text()
    for words in ("eBPF", "(no eBPF: ", "TCP only", "detached and healed", "lost and made up for"):
        assert words in reference


@pytest.mark.parametrize(
    ("bits", "state", "lost"),
    [
        (ALL, "ok", ""),
        (ALL & ~(1 << 21), "ok", ""),
        (ALL & ~(1 << 21 | 1 << 39), "warning", "CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON"),
        (ALL & ~(1 << 19), "warning", "CAP_SYS_PTRACE"),
        (ALL & ~(1 << 1), "warning", "CAP_DAC_OVERRIDE"),
        (ALL & ~(1 << 12), "warning", "CAP_NET_ADMIN"),
        (ALL & ~(1 << 10), "warning", "CAP_NET_BIND_SERVICE"),
    ],
)
def test_a_capability_that_the_agent_lacks_is_named_with_what_is_lost(
    bits: int, state: str, lost: str
) -> None:
    found = judge_capabilities(condition(capabilities=bits))
    assert (found.state, lost in found.evidence) == (state, True)


@needs(LINUX_KERNEL)
@pytest.mark.parametrize("had", [ALL, ALL & ~(1 << 38)])
def test_the_capabilities_that_an_agent_keeps_are_all_that_it_needs(had: int) -> None:
    from vmagent.capabilities import kept

    found = judge_capabilities(condition(capabilities=kept(had)))
    assert found.state == "ok"
    assert "with all that the agent needs" in found.evidence


@pytest.mark.parametrize(
    ("difference", "uncertainty", "state", "words"),
    [
        (0.0, 0.001, "ok", "0.000 s behind"),
        (-1.5, 0.001, "ok", "1.500 s behind"),
        (4.0, 3.0, "ok", "4.000 s ahead"),
        (4.0, 0.01, "warning", "4.000 s ahead (within 0.010 s)"),
        (-3600.0, 0.01, "warning", "3600.000 s behind"),
    ],
)
def test_a_clock_counts_as_wrong_by_what_it_is_off_for_sure(
    difference: float, uncertainty: float, state: str, words: str
) -> None:
    found = judge_clock(condition(clock_difference_s=difference, clock_uncertainty_s=uncertainty))
    assert (found.state, words in found.evidence) == (state, True)


@pytest.mark.parametrize(
    ("check", "state"), [(check_capabilities, "error"), (check_clock, "skipped")]
)
def test_an_agent_that_does_not_say_how_it_is_is_an_error_once(check: Any, state: str) -> None:
    patient = Words()
    patient.told = [condition(problem="the agent has not answered")]
    found = verdict(check, patient)
    assert (found.state, found.evidence) == (state, "the agent has not answered")


@pytest.mark.parametrize("check", [check_capabilities, check_clock, check_watcher])
def test_without_an_agent_there_is_nothing_to_judge(check: Any) -> None:
    patient = Words()
    patient.told = []
    patient.said = status(watcher="")
    with pytest.raises(NotSeenError, match="no agent is connected"):
        verdict(check, patient)
    with pytest.raises(NotSeenError, match="see the check daemon"):
        verdict(check, Words.without_daemon())


def engines(**troubles: str) -> list[dict[str, str]]:
    return [{"socket": name, "trouble": trouble} for name, trouble in troubles.items()]


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        ([], "note", "no engine was found"),
        (engines(docker=""), "ok", "docker answers"),
        (engines(docker="", podman="refused"), "note", "docker answers; not podman: refused"),
        (engines(docker="refused"), "error", "no engine answers: docker: refused"),
    ],
)
def test_engines_are_judged_by_what_the_agent_hears_of_them(
    found: list[dict[str, str]], state: str, words: str
) -> None:
    judged = judge_engines(condition(engines=found))
    assert (judged.state, words in judged.evidence) == (state, True)
    assert bool(judged.remedy) == (state == "error")


class OneEngine(Words):
    """A patient whose `samehost docker` goes by one address."""

    def __init__(self, docker_host: str) -> None:
        super().__init__()
        self.told = [condition(engines=engines(docker=""))]
        self.docker_host = docker_host

    async def ask(self, method: str, _seconds: float = 0, /, **_parameters: object) -> Any:
        return {"current_machine": {"docker_host": self.docker_host}}[method]


@contextlib.asynccontextmanager
async def an_engine(path: Path, answer: bytes) -> AsyncIterator[None]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, path):
        yield


@needs(UNIX_SOCKETS)
@pytest.mark.parametrize(
    ("answer", "state"), [(b"HTTP/1.0 200 OK\r\n\r\n", "ok"), (b"HTTP/1.0 500 No\r\n", "error")]
)
def test_the_engine_is_asked_from_here_too(tmp_path: Path, answer: bytes, state: str) -> None:
    path = tmp_path / "docker.sock"

    async def story() -> str:
        async with an_engine(path, answer):
            return (await check_engine(OneEngine(f"unix://{path}"))).state

    assert asyncio.run(story()) == state


@pytest.mark.parametrize(("host", "state"), [("", "note"), ("ssh://me@box", "ok")])
def test_an_engine_that_is_not_asked_from_here_is_no_fault(host: str, state: str) -> None:
    assert verdict(check_engine, OneEngine(host)).state == state


def test_ports_that_are_open_are_counted() -> None:
    patient = Words()
    assert verdict(check_ports, patient).evidence == "none"
    patient.table = [row(80), row(81), row(82, state="ignored", reason="a rule")]
    found = verdict(check_ports, patient)
    assert (found.state, found.evidence) == ("ok", "2 active")


def test_ports_that_are_not_open_are_named_with_the_reason() -> None:
    patient = Words()
    patient.table = [
        row(80, state="denied", reason="sysctl"),
        row(81, state="conflict", reason="nc"),
    ]
    found = verdict(check_ports, patient)
    assert found.state == "warning"
    assert found.evidence == "1 conflict, 1 denied: tcp 80 denied; tcp 81 conflict"
    assert found.remedy.splitlines() == ["tcp 80: sysctl", "tcp 81: nc"]


def held(port: int, process: str) -> Listener:
    return Listener(1, "tcp", "127.0.0.1", port, process=process, pid=7)


def test_a_forwarder_on_a_port_that_a_container_wants_is_named_with_what_switches_it_off() -> None:
    patient = Words()
    patient.holders = [held(8000, "limactl"), held(9000, "nginx")]
    patient.table = [row(8000, state="conflict", reason="limactl has it")]
    found = verdict(check_forwarders, patient)
    assert found.state == "warning"
    assert "Lima (limactl, pid 7) has tcp port 8000, which a container wants" in found.evidence
    assert "portForwards" in found.remedy


def test_a_forwarder_without_a_port_in_common_is_a_note() -> None:
    patient = Words()
    patient.holders = [held(8000, "limactl")]
    found = verdict(check_forwarders, patient)
    assert (found.state, "no port in common" in found.evidence) == ("note", True)


def test_no_forwarder_is_well_with_a_daemon_or_without() -> None:
    for patient in (Words(), Words.without_daemon()):
        patient.holders = [held(9000, "nginx"), held(22, "ssh")]
        found = verdict(check_forwarders, patient)
        assert (found.state, found.evidence.split(";")[0]) == ("ok", "none")


def settings(home: Path, **files: object) -> Patient:
    """A patient with these settings, and the administrator's."""
    paths = Paths.under(home)
    paths.admin.mkdir()
    for path, content in ((paths.settings_file, "settings"), (paths.policy_file, "policy")):
        if content in files:
            text = files[content]
            path.write_text(text if isinstance(text, str) else json.dumps(text))
    return Words(home)


ON = {"hostNetworkingEnabled": True}
LOCKED = {"hostNetworkingEnabled": {"locked": True, "value": False}}


def test_the_switch_is_on(tmp_path: Path) -> None:
    assert verdict(check_switch, settings(tmp_path, settings=ON)).state == "ok"


def test_a_switch_that_is_off_is_told_with_the_command(tmp_path: Path) -> None:
    found = verdict(check_switch, settings(tmp_path))
    assert (found.state, found.remedy) == ("warning", "turn it on: samehost enable")


def test_a_switch_that_is_locked_is_told_with_whom_to_ask(tmp_path: Path) -> None:
    found = verdict(check_switch, settings(tmp_path, settings=ON, policy=LOCKED))
    assert (found.state, "locked by the administrator" in found.evidence) == ("warning", True)
    assert found.remedy.startswith("ask")


def test_settings_that_can_be_understood_are_counted(tmp_path: Path) -> None:
    found = verdict(check_settings, settings(tmp_path, settings=ON))
    assert (found.state, found.evidence[:5]) == ("ok", "1 of ")


def test_settings_that_an_administrator_locked_are_a_note(tmp_path: Path) -> None:
    found = verdict(check_settings, settings(tmp_path, policy=LOCKED))
    assert (found.state, "1 cannot be changed" in found.evidence) == ("note", True)


def test_a_settings_file_that_is_torn_is_a_warning(tmp_path: Path) -> None:
    found = verdict(check_settings, settings(tmp_path, settings="{"))
    assert (found.state, "is not JSON" in found.evidence) == ("warning", True)
    assert "correct the file" in found.remedy


def test_a_policy_that_is_torn_is_an_error(tmp_path: Path) -> None:
    found = verdict(check_settings, settings(tmp_path, policy="{"))
    assert (found.state, "admin-settings.json" in found.evidence) == ("error", True)


def test_names_that_are_no_settings_are_worth_a_note(tmp_path: Path) -> None:
    text = '{"hostNetworkingEnable": true, "reachHost": false}'
    found = verdict(check_settings, settings(tmp_path, settings=text))
    assert found.state == "note"
    assert found.evidence.startswith("1 of ")
    assert found.evidence.endswith('what this version does not know: "hostNetworkingEnable"')
    assert "spelling" in found.remedy
