"""How mirrors bind their ports on this computer. One file per operating system."""
