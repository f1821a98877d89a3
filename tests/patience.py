"""How long a test waits for what comes for sure."""

PATIENCE_S = 600.0
"""Only what hangs takes as long, on a machine however slow and busy; below pytest's own limit."""
