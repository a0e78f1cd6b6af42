"""The version of the whole, which pyproject.toml reads here: it is known without an installed package too."""

__version__ = "0.1.0"
