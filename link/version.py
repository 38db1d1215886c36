"""Who we are on the wire: the product's version and the protocol's.

The protocol number changes whenever an older peer could misread a newer one; ends with
different numbers do not talk (the desktop replaces the agent).
"""

from typing import Final

__all__ = ["PROTOCOL", "VERSION"]

VERSION: Final = "0.1.0"
PROTOCOL: Final = 5
