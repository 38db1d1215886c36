"""Desired ports against actual ports. No I/O in this room, no clock, no platform."""
