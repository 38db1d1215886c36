"""Clients of container engines' own interfaces, one module per interface."""
