"""One background thread with one event loop, and the bridge to it."""
