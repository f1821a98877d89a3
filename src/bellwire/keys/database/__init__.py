"""The database under the key store: a file of SQLite, or a schema on a PostgreSQL server."""
