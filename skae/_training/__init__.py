"""Training: the only folder that knows skorch. An epoch is in `net` and `callbacks`."""
