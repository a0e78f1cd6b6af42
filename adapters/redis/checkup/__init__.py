"""Looks at the servers for the one who sets the service up: could it do its job there? Changes nothing."""
