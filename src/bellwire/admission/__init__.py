"""Who may join: evidence of a newcomer's connection, and the verdict on it."""
