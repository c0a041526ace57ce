"""A trained network for a framework to load without this project. See `__main__.py`."""
