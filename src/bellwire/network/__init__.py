"""Many nodes: who is joined with whom, which way a key takes, and how relays carry it."""
