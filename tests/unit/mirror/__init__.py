"""Desired ports against actual ports."""
