"""The authority of a site: certificates for its KME and for the SAEs that it serves."""
