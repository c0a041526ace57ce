"""Seconds of a training as small as in a teaching notebook."""
