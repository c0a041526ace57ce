"""The error that a user caused, as opposed to one that we caused.

Only `ConfigError` is printed as one line without a traceback; any other exception is a defect or a
failed run and keeps its traceback.
"""

import difflib
import math
from collections.abc import Iterable


class ConfigError(ValueError):
    """A value that the user chose cannot be used. The message is one complete line."""


class Diverged(RuntimeError):
    """A loss stopped being finite. The message names the epoch and the likely cause."""


def first_line(error: BaseException) -> str:
    """An exception's message cut to one line, or its type where it has none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def nearest(word: str, known: Iterable[str]) -> str:
    """`" Did you mean 'sum'?"`, or an empty string when nothing known is close to `word`."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{matches[0]}'?" if matches else ""


def check_range(key: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Refuse a number outside `[low, high]`, or one that is not finite; `None` means that the
    option is off and passes."""
    if value is None or (math.isfinite(value) and low <= value <= high):
        return
    valid = "a whole number" if isinstance(value, int) else "a finite number"
    if high < math.inf:
        valid = f"{low:g}" if low == high else f"from {low:g} to {high:g}"
    elif low > -math.inf:
        valid += f", at least {low:g}"
    raise ConfigError(f"{key}={value:g}: must be {valid}.")


def check_choice(key: str, value: str, valid: Iterable[str]) -> None:
    """Refuse a word that is not one of `valid`."""
    valid = list(valid)
    if value not in valid:
        raise ConfigError(
            f"{key}={value}: must be one of {', '.join(valid)}.{nearest(value, valid)}"
        )
