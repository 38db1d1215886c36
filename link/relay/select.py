"""Which relay this computer gets: chosen once, here and nowhere else."""

from __future__ import annotations

import sys

from link.relay.relay import Relay

__all__ = ["open_relay"]


def open_relay(platform: str = sys.platform) -> Relay:
    """The best relay of the platform. Call it inside the running loop."""
    if platform == "linux":
        from link.relay.splice import SpliceRelay

        return SpliceRelay()
    from link.relay.portable import PortableRelay

    return PortableRelay()
