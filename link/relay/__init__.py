"""The TCP data plane: two connected sockets become one flow. Linux: `splice`; else: `portable`."""
