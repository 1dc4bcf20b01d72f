"""The v0.2 surface: its calls one to one, its result channel, and what matches the two."""
