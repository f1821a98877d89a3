"""All services of one machine: prepared, started, restarted when they die, looked at, stopped."""
