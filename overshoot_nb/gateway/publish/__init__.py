"""Video of this machine on its way to a server that samples it."""
