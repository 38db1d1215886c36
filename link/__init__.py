"""What both ends of the link share. Standard library only, Python >= 3.9."""
