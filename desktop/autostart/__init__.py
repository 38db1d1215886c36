"""Starting the daemon when its user logs in. One file per operating system."""
