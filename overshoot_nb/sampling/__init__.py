"""A source becomes samples: pixels with time, chosen moments, bytes."""
