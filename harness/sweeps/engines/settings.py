"""Checks of the settings of launchers."""

from typing import Any

from harness.core.errors import ConfigError


def at_least(name: str, value: Any, low: float, whole: bool = False) -> None:
    """Raise `ConfigError` unless `hydra.launcher.NAME` is such a number; None passes."""
    is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and value >= low):
        kind = "a whole number" if whole else "a number"
        raise ConfigError(f"hydra.launcher.{name}={value}: must be {kind} of at least {low:g}.")
