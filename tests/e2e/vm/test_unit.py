"""On a machine that systemd runs, the agent is a hardened unit of it, and ends with its link."""

from __future__ import annotations

import pytest

from tests.e2e.vm.attached import ADDRESS, USER, Way, attached, eventually
from tests.e2e.vm.machine import Vm
from tests.integration.samehost import free_port, talk
from tests.integration.servers import GREETER

pytestmark = pytest.mark.timeout(900)

FIND = "pgrep --full 'samehost-agent$'"


@pytest.mark.parametrize("way", [ADDRESS, USER])
def test_the_agent_is_a_hardened_unit_that_ends_with_its_link(vm: Vm, way: Way) -> None:
    with attached(vm, way) as samehost:
        eventually(lambda: samehost.status()["machine"]["state"] == "connected", "the link")
        pid = vm.run(FIND).split()[-1]
        unit = vm.run(f"cat /proc/{pid}/cgroup").rpartition("/")[2].strip()
        assert unit.startswith("run-")
        shown = vm.run(f"systemctl show {unit}").splitlines()
        assert {"ProtectSystem=strict", "NoNewPrivileges=yes", "TasksMax=64"} <= set(shown)
        assert "Description=samehost-agent" in shown
        assert next(line for line in shown if line.startswith("MemoryMax=")).split("=")[1].isdigit()
        mounts = [line.split() for line in vm.run(f"cat /proc/{pid}/mounts").splitlines()]
        options = {mount[1]: (mount[2], mount[3].split(",")[0]) for mount in mounts}
        assert options["/"][1] == "ro"
        assert options["/tmp"][0] == options["/var/tmp"][0] == "tmpfs"
        secret_free = vm.run(f"tr '\\0' '\\n' < /proc/{pid}/cmdline")
        assert secret_free.splitlines()[-1] == "samehost-agent"
        assert samehost.status()["machine"]["watcher"].startswith("eBPF")
        port = free_port()
        with samehost.python(GREETER, "0.0.0.0", str(port), "v6only", "hello"):
            eventually(lambda: samehost.states(port) == ["active"], "the mirror")
            assert talk("127.0.0.1", port) == b"hello"
            assert samehost.rows(port)[0]["process"].startswith("python")
    eventually(lambda: vm.run(f"systemctl is-active {unit} || true") == "inactive", "its end")
    listed = "systemctl list-units --all --plain --no-legend 'run-*.service'"
    eventually(lambda: vm.run(listed) == "", "the manager to forget it")
