"""Fails before it trains; says what was imported before it."""

import sys

print(*(name for name in ("numpy", "torch", "keras", "tensorflow", "jax") if name in sys.modules))
print(__name__, sys.argv[1:], sys.path[0].endswith("programs"), __file__)
raise RuntimeError("no data")
