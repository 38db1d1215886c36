"""Where clients find the control API: a Unix socket, or a named pipe. One file per system."""
