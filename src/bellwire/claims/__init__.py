"""The claims of the threat model, each run for real by the product's own code, and a report.

Below `cli` and above everything: a claim may use any part of the product, and nothing uses claims.
"""
