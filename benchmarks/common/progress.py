"""Which contestant is at work: a line that changes on a terminal, elsewhere a line per network."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console


class Progress:
    """Says what is being done while its `with` block runs."""

    def __init__(self) -> None:
        self.began, self.shown = time.monotonic(), ""
        shown = sys.stderr.isatty()
        self._status = Console(stderr=True).status("starting", spinner="line") if shown else None

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
        """`what` is done at `where`, such as `keras, tiny, rnn`."""
        past = f"{time.monotonic() - self.began:4.0f} s"
        if self._status is not None:
            self._status.update(f"{past}  {where}: {what}")
        elif where != self.shown:
            self.shown = where
            print(f"  {past}  {where}", file=sys.stderr, flush=True)
