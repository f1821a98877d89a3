"""A site's part in a network of sites: what it is told, put together, run and shown."""
