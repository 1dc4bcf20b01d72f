"""A stream while it runs: its life, its sessions, its callbacks."""
