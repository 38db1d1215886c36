"""What people install: built here, installed as they would, and looked at from outside."""
