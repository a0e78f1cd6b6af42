"""The ports in memory: for dry runs (`memory://`) and for unit tests."""
