"""A run as one file: written while it goes on, loaded, and played again."""
