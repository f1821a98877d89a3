"""How many who come at once are kept waiting, the same at every listener of a service."""

from typing import Final

BACKLOG: Final = 1024
"""Connections that the system keeps until the listener takes them.

All clients of a relay come at once when it is back, and all devices of a cloud; asyncio's own 100
would be full. Whoever finds no place is dropped without a word, and tries again a second later.
Linux lowers it to `net.core.somaxconn`, 4096 where nobody changed that.
"""
