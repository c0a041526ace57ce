"""Exceptions for users' mistakes, and the checks that raise them.

Only `ConfigError` is printed as one line without a traceback. Any other exception is a defect or a
failed run and keeps its traceback.
"""

import difflib
import importlib.util
import math
from collections.abc import Iterable
from dataclasses import dataclass


class ConfigError(ValueError):
    """A setting, file or option that cannot be used. The message is one complete line."""


class Refused(BaseException):
    """A carrier of `error` through Hydra, which turns a callback's `Exception` into a warning."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Diverged(RuntimeError):
    """A loss that is no longer finite. The message names the epoch and the likely cause."""


class Pruned(Exception):
    """The end of a trial that a search has pruned: it is no failure. The message says when."""


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type where it has no message."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'sum'?"`, or an empty string if no known word is close to `word`."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{matches[0]}'?" if matches else ""


@dataclass(frozen=True)
class Range:
    """The finite numbers from `low` to `high`, both included."""

    low: float = -math.inf
    high: float = math.inf

    def __contains__(self, value: float) -> bool:
        # `math.isfinite` raises OverflowError for an int that is too large for a float.
        finite = isinstance(value, int) or math.isfinite(value)
        return finite and self.low <= value <= self.high

    def describe(self, kind: str = "a finite number") -> str:
        """Return the range as text to follow "must be", such as `from 0 to 1`."""
        low, high = map(_digits, (self.low, self.high))
        if self.high < math.inf:
            return low if self.low == self.high else f"from {low} to {high}"
        return f"{kind}, at least {low}" if self.low > -math.inf else kind


def check_range(key: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Raise `ConfigError` for a number outside `[low, high]`, or for one that is not finite.

    None means that the option is off, and passes.
    """
    check_within(key, value, Range(low, high))


def check_within(key: str, value: float | None, valid: Range) -> None:
    """Raise `ConfigError` for a number outside `valid`; None passes, as in `check_range`."""
    if value is None or value in valid:
        return
    kind = "a whole number" if isinstance(value, int) else "a finite number"
    raise ConfigError(f"{key}={_digits(value)}: must be {valid.describe(kind)}.")


def _digits(value: float) -> str:
    """Return all digits: with fewer, a number just outside a range could look like one inside."""
    return str(value).removesuffix(".0")


def check_package(key: str, module: str, package: str, extra: str | None = None) -> None:
    """Raise `ConfigError` for a package that is not installed; nothing is imported.

    `extra` is the extra of this project that has it, if there is one.
    """
    if importlib.util.find_spec(module) is None:
        wanted = package if extra is None else f"'rnn-harness[{extra}]'"
        raise ConfigError(
            f"{key}: the package {package} is not installed; run: pip install {wanted}"
        )


def check_choice(key: str, value: str, valid: Iterable[str]) -> None:
    """Raise `ConfigError` for a word that is not one of `valid`."""
    valid = list(valid)
    if value not in valid:
        raise ConfigError(
            f"{key}={value}: must be one of {', '.join(valid)}.{nearest(value, valid)}"
        )
