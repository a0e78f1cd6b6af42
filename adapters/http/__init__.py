"""Records and their changes over HTTP."""
