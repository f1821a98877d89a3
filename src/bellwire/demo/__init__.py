"""The demo: the whole story on real input, and the report with pictures that it leaves."""
