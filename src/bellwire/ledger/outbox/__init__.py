"""Entries that wait in their writer's store until the log has them."""
