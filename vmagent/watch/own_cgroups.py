"""Which cgroups are surely the machine's own: their programs keep the machine's loopback.

Rules: what is not surely the machine's own counts as a container's, for a container that has
just begun must reach the desktop with its first connect. Own are the root, systemd's units and
what else `vmagent.containers` calls the machine's own, and the cgroups of process 1 and of this
process.

Limits: on cgroup v1 or hybrid an engine may leave containers anywhere in the v2 tree, so that it
tells nothing: then none is the machine's own, and its daemons reach the desktop too, as they do by
stubs. So does somebody logged in to the machine, and a service until it is looked for again.

Cost: see `cgroups`. Counterpart: `vmagent.desktop_ports.redirect` asks now and then.
"""

from __future__ import annotations

from link.processes import PROC
from vmagent.containers import container_of_path, is_machines_own
from vmagent.watch.cgroups import ROOT, CgroupTree
from vmagent.watch.vantage import process_cgroups

__all__ = ["find_own_cgroups"]


def find_own_cgroups(proc: str = PROC) -> frozenset[int]:
    """The ids of the machine's own cgroups. Raises OSError if /proc cannot be read."""
    tree = CgroupTree(proc)
    if tree.has_version_1:
        return frozenset()
    ours = {ROOT}
    for process in ("1", "self"):
        ours.update(process_cgroups(process, proc, of_version_2=True))
    return frozenset(
        cgroup
        for cgroup, path in tree.paths.items()
        if path in ours or (container_of_path(path) is None and is_machines_own(path))
    )
