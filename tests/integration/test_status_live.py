"""`samehost status` says how listeners are found now, not how they were when the link began."""

from __future__ import annotations

from pathlib import Path

from tests.integration.bpf_links import detach, links_of
from tests.integration.bpf_stage import require_bpf
from tests.integration.samehost import Samehost, free_port, running_samehost, talk, until
from tests.integration.servers import GREETER
from vmagent.watch.binds import HEALTH_SECONDS

PATIENCE = 2 * HEALTH_SECONDS + 10
"""Seconds: the agent looks only now and then whether its programs are still attached."""


def watcher(samehost: Samehost) -> str:
    return str(samehost.status()["machine"]["watcher"])


def test_status_follows_when_somebody_detaches_the_programs_and_they_are_attached_anew() -> None:
    require_bpf()
    with running_samehost() as samehost:
        cgroups = Path(f"/proc/{samehost.agent()}/root/sys/fs/cgroup")
        before = until(lambda: watcher(samehost), "the agent's word")
        assert before.startswith("eBPF, ")
        assert "detached" not in before
        for count in ("once", "2 times"):
            for link in links_of(cgroups):
                detach(link)
            until(lambda: f"detached and healed {count}" in watcher(samehost), "it", PATIENCE)  # noqa: B023
        healed = watcher(samehost)
        assert healed.replace("; detached and healed 2 times", "") == before
        assert healed in samehost.run("status")
        port = free_port()
        with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "seen"):
            until(lambda: samehost.states(port) == ["active"], "the mirror")
            assert talk("127.0.0.1", port) == b"seen"
