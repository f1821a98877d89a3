"""Accounts at a relay: names, devices, and the directory in which people find each other."""
