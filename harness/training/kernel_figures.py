"""What was measured of a kernel: how long it takes to start, and for an update."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A kernel's figures with so many threads, for networks of one shape on one machine."""

    kernel: str
    threads: int
    start_s: float  # construction and compilation
    step_us: float  # of an update of all replicas

    def seconds(self, updates: int) -> float:
        """Return the seconds of a run of so many updates."""
        return self.start_s + updates * self.step_us / 1e6

    def __str__(self) -> str:
        """Return them in words, such as `stacked 230 µs a step, 0.1 s to start`."""
        name = in_words(self.kernel, self.threads)
        step = f"{self.step_us:,.0f}" if self.step_us >= 100 else f"{self.step_us:.3g}"
        return f"{name} {step} µs a step, {self.start_s:.1f} s to start"


def in_words(kernel: str, threads: int) -> str:
    """Return a kernel with its threads, such as `stacked (2 threads)`."""
    return kernel if threads == 1 else f"{kernel} ({threads} threads)"


def in_one_line(measured: Sequence[Figures]) -> str:
    """Return all figures, the fastest update first."""
    return "; ".join(str(each) for each in sorted(measured, key=lambda each: each.step_us))
