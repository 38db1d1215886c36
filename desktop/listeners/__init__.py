"""Which ports this computer listens on. One file per operating system, and a fake."""
