"""The guard: the kernel's firewall does what the link's status says, and fails closed."""
