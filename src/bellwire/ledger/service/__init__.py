"""A log at work: it takes entries from writers, and signs what it has become."""
