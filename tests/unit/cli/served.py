"""What happens to a served backend while commands read: the switch, ports, machines."""

from __future__ import annotations

from functools import partial

from desktop.api.fake import FakeMachine
from desktop.api.types import PortRow
from tests.served_backend import ServedBackend

__all__ = ["appear", "attach_another", "enable"]


def enable(served: ServedBackend) -> None:
    served.run(served.backend.set_enabled(True))


def appear(served: ServedBackend, *rows: PortRow) -> None:
    served.do(partial(served.backend.change, list(rows)))


def attach_another(served: ServedBackend) -> None:
    """Have `sandbox-b` attached beside `sandbox`."""
    served.backend.machine_states["sandbox-b"] = FakeMachine("sandbox-b")
    served.run(served.backend.attach("sandbox", lambda _line: None))
    served.run(served.backend.attach_also("sandbox-b", lambda _line: None))
