"""What listens in the machine, and whose it is."""
