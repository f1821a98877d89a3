"""A site's process: reads the configuration, picks stores, clocks and sources, and runs them."""
