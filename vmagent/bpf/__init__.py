"""eBPF in the machine: programs in the kernel that tell what happens to sockets."""
