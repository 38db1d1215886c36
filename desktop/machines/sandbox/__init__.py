"""The embedded machine: Linux namespaces with a real Docker Engine inside (DESIGN 7).

`machine.py` is the `Machine`; `boot.py` with `boot.sh` makes one, `traces.py` removes all that
one leaves on the computer, `record.py` lets another process find it, `addresses.py` chooses its
addresses, `engine.py` asks whether its engine answers. Limits: Linux, root, cgroup v2 in the
kernel (mounted or not), kernel 5.3 (pidfd_open(2)).
"""

from desktop.machines.sandbox.machine import Sandbox

__all__ = ["Sandbox"]
