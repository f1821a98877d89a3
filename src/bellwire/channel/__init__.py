"""The hybrid channel between an initiator and a responder: handshake and records, sans-I/O."""
