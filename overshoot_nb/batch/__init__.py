"""A whole video at once."""
