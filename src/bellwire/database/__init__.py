"""Databases under stores that several processes may share: a schema on a PostgreSQL server."""
