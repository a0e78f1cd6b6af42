"""The ports on Redis and its kin."""
