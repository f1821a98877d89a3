"""The relay: carries payloads for people who are away, and knows nothing of what is in them."""
