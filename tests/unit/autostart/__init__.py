"""What each system's way to start the daemon at a log-in writes and asks for."""
