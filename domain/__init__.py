"""What an update message is, which one is accepted, and which of two is the newer.

Pure: no I/O, no clock of its own, no logging.
"""
