"""How a byte stream to the agent is opened. One file per way."""
