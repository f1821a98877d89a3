"""The hybrid channel between two enrolled ends: handshake and records, without input or output.

Bytes come in, bytes and results go out; `spec/channel.md` has the layouts and the numbered steps.
"""
