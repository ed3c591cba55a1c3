"""Samples: how they are read, what is known of them all, and which depend on one another. It knows no networks."""
