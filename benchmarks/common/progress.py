"""Progress of a benchmark: one changing line on a terminal, elsewhere a line per network."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console


class Progress:
    """A context manager that shows the present work on standard error."""

    def __init__(self) -> None:
        self.began, self.shown = time.monotonic(), ""
        is_terminal = sys.stderr.isatty()
        self._status = (
            Console(stderr=True).status("starting", spinner="line") if is_terminal else None
        )

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def say(self, where: str, what: str) -> None:
        """Show that `what` is done at `where`, such as `keras, tiny, rnn`."""
        elapsed = f"{time.monotonic() - self.began:4.0f} s"
        if self._status is not None:
            self._status.update(f"{elapsed}  {where}: {what}")
        elif where != self.shown:
            self.shown = where
            print(f"  {elapsed}  {where}", file=sys.stderr, flush=True)
