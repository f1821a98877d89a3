"""Primitives under one roof, all from `cryptography`; nothing here knows a protocol."""
