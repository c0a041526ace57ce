"""Why do two ways of training the same network train differently? See `__main__.py`."""
