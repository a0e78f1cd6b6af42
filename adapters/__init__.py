"""The ports on real things: one room for each technology, none knows another."""
