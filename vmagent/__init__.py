"""The agent that runs in the machine. Standard library and `link` only, Python >= 3.9."""
