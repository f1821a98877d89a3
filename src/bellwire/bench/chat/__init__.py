"""Measurements of chat: the relay beside others' relays (`figures`), by one client (`load`)."""
