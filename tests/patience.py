"""How long a test waits for what comes for sure."""

PATIENCE_S = 400.0
"""Only what hangs takes as long, on a machine however slow and busy; below pytest's own limit."""
