"""A witness: it follows logs of others, and cosigns a checkpoint only if nothing was rewritten."""
