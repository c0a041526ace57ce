"""Progress of long work: a bar on a terminal, and elsewhere a plain line every ten seconds."""

import logging
import sys
import time
from types import TracebackType
from typing import Self

import numpy as np

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """A context manager that shows epoch, loss, epochs per second and time left."""

    def __init__(self, epochs: int, done: int = 0, shown: bool = True) -> None:
        self.epochs, self.done = epochs, done  # a resumed run begins with epochs that are done
        self.hidden = not shown
        self.began = self.shown = time.monotonic()
        self._bar = None

    def __enter__(self) -> Self:
        if not self.hidden and sys.stderr.isatty() and self.epochs > self.done:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("epoch"),
                MofNCompleteColumn(),
                BarColumn(),
                TextColumn("{task.fields[loss]}"),
                TextColumn("{task.fields[speed]}"),
                TimeRemainingColumn(),
                TextColumn("left"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(
                "", total=self.epochs, completed=self.done, loss="", speed=""
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, epoch: int, values: dict[str, np.ndarray]) -> None:
        """Show that epoch `epoch` is done; `values` are its metrics by name, `(R,)` each."""
        now = time.monotonic()
        if self.hidden:
            return
        if self._bar is None and now - self.shown <= SECONDS_BETWEEN_LINES:
            return
        losses = "  ".join(f"{n} {v.mean():.4g}" for n, v in values.items() if n.endswith("/loss"))
        rate = (epoch - self.done) / max(now - self.began, 1e-9)
        speed = f"{rate:.1f} epochs/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=epoch, loss=losses, speed=speed)
            return
        self.shown = now
        left = (self.epochs - epoch) / rate
        log.info("epoch %d/%d  %s  %s  %.0f s left", epoch, self.epochs, losses, speed, left)


class Count:
    """A context manager that shows how many of `total` items are done; `what` names the work.

    Where there is no terminal it is a line every `seconds`.
    """

    def __init__(self, total: int, what: str, seconds: float = SECONDS_BETWEEN_LINES) -> None:
        self.total, self.what, self.seconds, self.done = total, what, seconds, 0
        self.began = self.shown = time.monotonic()
        self._bar = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                MofNCompleteColumn(),
                BarColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(file=sys.stderr),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self.what, total=self.total, note="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self) -> None:
        """Show that one more item is done."""
        self.show(self.done + 1)

    def show(self, done: int, note: str = "", share: float | None = None) -> None:
        """Show that `done` items are done; `note` says more about them.

        `share` is that of all work that is done, by default that of the items.
        """
        self.done, now = done, time.monotonic()
        share = done / self.total if share is None else share
        seconds = f"{max((now - self.began) * (1 / share - 1), 0):.0f} s left" if share else ""
        note = ", ".join(filter(None, (note, seconds)))
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
        elif now - self.shown > self.seconds:
            self.shown = now
            line = f"  {self.what}: {done} of {self.total} done"
            print(", ".join(filter(None, (line, note))), file=sys.stderr, flush=True)
