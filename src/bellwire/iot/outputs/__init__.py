"""Where a cloud's readings go beside its own files: SQLite, NATS, MQTT."""
