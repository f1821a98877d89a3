"""How a secret at rest is kept: wrapped under a key-encryption key that comes from elsewhere.

`envelope` is the way in; `sources` turns a setting into where the key-encryption key comes from.
"""
