"""Time and memory against length, batch and replicas."""
