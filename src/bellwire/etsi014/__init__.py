"""The client's side of ETSI GS QKD 014 V1.1.1: keys from a vendor's key server, over mutual TLS."""
