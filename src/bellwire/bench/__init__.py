"""Benchmarks that print what the performance page claims, each against a named alternative."""
