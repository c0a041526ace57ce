"""The time of a training step: every framework's contestants on every network."""
