"""Builds everything that people install, into `dist/`: `make dist`."""
