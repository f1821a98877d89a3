"""What one person keeps: identity, sessions, pads and history, sealed at rest."""
