"""What joins a person's store, the relay and the key server of the person's own site."""
