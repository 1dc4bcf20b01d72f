"""From a guess to a measured prompt, on the pictures that the model saw."""
