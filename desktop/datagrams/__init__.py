"""UDP sockets of the desktop: which code serves this platform, and the portable one."""
