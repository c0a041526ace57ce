"""Do the backends compute the same, and if not, where do they part? See `__main__.py`."""
