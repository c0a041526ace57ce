"""One thing that is wrong, and what mends it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something wrong with a file, a folder or a server.

    `fix` mends it and returns what it did; None if only the user can, as `remedy` says.
    """

    path: Path | str  # a server's address
    problem: str
    remedy: str
    fix: Callable[[], str] | None = None
