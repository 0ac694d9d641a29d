"""ASCL: adaptive safe context learning, from a rule book to an aligned model."""

__version__ = "0.1.0"
