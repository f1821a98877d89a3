"""The quantum link: source, fibre, detectors and Eve, simulated; each side gets its own half."""
