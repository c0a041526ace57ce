"""The command `harness record`: see `harness.record.__main__`."""
