"""Every parameter of a stream, resolved and checked once."""
