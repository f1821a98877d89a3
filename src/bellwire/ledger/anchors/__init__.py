"""Anchors: a log's checkpoints on public chains, which no operator of a log can rewrite."""
