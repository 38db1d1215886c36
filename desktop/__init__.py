"""The host side: the daemon and the `samehost` command. Never imported by `link` or `vmagent`."""
