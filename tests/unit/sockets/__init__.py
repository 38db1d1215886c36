"""Sockets of mirrors, and the event loop that serves them, of the systems that are not here."""
