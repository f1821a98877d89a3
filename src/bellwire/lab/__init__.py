"""Experiments in one process, for study. Holds both halves; its bits never enter a pool."""
