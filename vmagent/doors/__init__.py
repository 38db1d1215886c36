"""Where streams from the desktop come in: one file per kind of door."""
