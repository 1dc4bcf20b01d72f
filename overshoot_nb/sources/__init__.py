"""What to watch. Values only: nothing here opens a file, a device or a connection."""
