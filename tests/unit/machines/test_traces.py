"""Names of a sandbox on the computer, and what the mount table tells."""

from __future__ import annotations

import asyncio
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from desktop.machines.sandbox import traces
from desktop.machines.sandbox.processes import members
from desktop.machines.sandbox.programs import run
from desktop.machines.sandbox.traces import NO_CGROUP2, Traces, cgroup2_mount, mounts_below

INTERFACE_NAME_LIMIT = 15

ROOT = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw"
TMPFS = "30 22 0:26 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw,mode=755"
V1 = "31 30 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids"
HYBRID = "32 30 0:28 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate"
PURE = "33 22 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
READ_ONLY = "33 22 0:28 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw"
PART = "34 22 0:28 /part /mnt/part rw,nosuid - cgroup2 cgroup2 rw"


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ([ROOT, TMPFS, V1], NO_CGROUP2),
        ([ROOT, TMPFS, V1, HYBRID], "/sys/fs/cgroup/unified"),
        ([ROOT, PURE], "/sys/fs/cgroup"),
        ([ROOT, READ_ONLY], NO_CGROUP2),
        ([ROOT, PART, PURE], "/sys/fs/cgroup"),
        ([], NO_CGROUP2),
    ],
    ids=["v1", "hybrid", "v2", "read-only", "a part of it", "nothing"],
)
def test_cgroup_v2_is_found_where_it_is_mounted_for_writing(table: list[str], found: str) -> None:
    assert cgroup2_mount(table) == found


def test_mounts_in_the_folder_are_found_by_whole_path_parts() -> None:
    table = [
        ROOT,
        r"40 22 0:30 / /var/a\040b/lib rw - overlay overlay rw",
        r"41 22 0:31 / /var/a\040bc rw - tmpfs tmpfs rw",
        r"42 22 0:32 / /var/a\040b/lib/x rw - tmpfs tmpfs rw",
    ]
    assert mounts_below(Path("/var/a b"), table) == ["/var/a b/lib", "/var/a b/lib/x"]


def test_names_differ_by_folder_and_by_name_and_fit_the_kernel(tmp_path: Path) -> None:
    traces = [
        Traces.of(tmp_path / home / name, name)
        for home in ("one", "two")
        for name in ("sandbox", "sandbox-x")
    ]
    assert len({trace.interface for trace in traces}) == len(traces)
    assert len({trace.cgroup for trace in traces}) == len(traces)
    assert all(len(trace.interface) <= INTERFACE_NAME_LIMIT for trace in traces)


def test_a_symbolic_link_to_the_folder_gives_the_same_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert Traces.of(tmp_path / "link/x", "x") == Traces.of(tmp_path / "real/x", "x")


def fake_process(proc: Path, pid: int, cgroup: str, state: str = "S") -> None:
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "cgroup").write_text(f"4:memory:/elsewhere\n0::{cgroup}\n")
    (proc / str(pid) / "stat").write_text(f"{pid} (x) {state} " + "1 " * 30)


def test_members_are_the_living_processes_of_the_cgroup_and_below(tmp_path: Path) -> None:
    fake_process(tmp_path, 10, "/same")
    fake_process(tmp_path, 9, "/same/docker/x")
    fake_process(tmp_path, 11, "/same-not")
    fake_process(tmp_path, 12, "/other/same")
    fake_process(tmp_path, 13, "/same", state="Z")
    (tmp_path / "14").mkdir()
    (tmp_path / "sys").mkdir()
    assert members("same", tmp_path) == [9, 10]


def test_files_of_a_half_made_machine_are_removed_and_made_folders_too(tmp_path: Path) -> None:
    folder, made, used = tmp_path / "state", tmp_path / "made", tmp_path / "used"
    for path in (folder / "lib/deep", made, used):
        path.mkdir(parents=True)
    (used / "file").write_text("somebody's")
    (folder / "docker.sock").write_text("")
    (folder / "made-folders").write_text(f"{made}\n{used}\n{tmp_path / 'gone'}\n")
    asyncio.run(Traces.of(folder, "sandbox").remove())
    assert list(folder.iterdir()) == []
    assert not made.exists()
    assert (used / "file").read_text() == "somebody's"


def test_a_cgroup_that_the_kernel_still_holds_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Traces.of(tmp_path / "state", "sandbox")
    cgroup = tmp_path / found.cgroup
    (cgroup / "init").mkdir(parents=True)
    busy = cgroup / "init" / "busy"
    busy.touch()
    statuses = []

    async def run_and_free(*argv: str, check: bool) -> CompletedProcess[str]:
        done = await run(*argv, check=check)
        statuses.append(done.returncode)
        busy.unlink(missing_ok=True)
        return done

    monkeypatch.setattr(traces, "cgroup2_mount", lambda: str(tmp_path))
    monkeypatch.setattr(traces, "run", run_and_free)
    asyncio.run(found.remove())
    assert not cgroup.exists()
    assert [bool(status) for status in statuses] == [True, False]
