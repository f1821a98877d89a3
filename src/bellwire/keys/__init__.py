"""What a node keeps: the pool of secret bits, the authentication reserve, the link's status."""
