"""How containers reach the desktop's ports: by redirect where eBPF can, by stubs elsewhere."""
