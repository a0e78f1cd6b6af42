"""The Observer port on what people and machines read."""
