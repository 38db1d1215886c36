"""Samehost as an application of macOS and Windows (Briefcase starts the module of its name)."""
