"""Doors of HTTP: what others ask over HTTPS, put before `bellwire.keys.kme`.

The only package that speaks HTTP as a server. It decides nothing about keys.
"""
