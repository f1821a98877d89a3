"""What a site's console does for its members: accounts, and session keys that two of them share."""
