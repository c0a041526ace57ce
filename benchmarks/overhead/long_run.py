"""Worker of `overhead`: `python -m benchmarks.overhead.long_run OVERRIDES`.

Trains one tracked run and prints, as JSON, microseconds per epoch and megabytes of memory in its
second and in its last tenth. The first tenth has the imports of what is used late.
"""

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from harness.config.compose import compose
from harness.runs.identity import Identity
from harness.runs.run import run
from harness.tracking.journal import read

Sample = tuple[float, int]  # milliseconds since 1970, as in a journal; bytes of memory


class MemoryWatch(threading.Thread):
    """Samples this process's memory ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.samples, self._ends = list[Sample](), threading.Event()

    def run(self) -> None:
        """Sample until `end`."""
        process = psutil.Process()
        while not self._ends.wait(0.1):
            self.samples.append((1e3 * time.time(), process.memory_info().rss))

    def end(self) -> None:
        """Stop sampling."""
        self._ends.set()
        self.join()


def main() -> None:
    """Train, and print both tenths."""
    config = compose([*sys.argv[1:], "tracking.wait_seconds=1e6"])
    directory = Path(config.results, "runs", "long")
    watch = MemoryWatch()
    watch.start()
    identity = Identity(name="long", directory=directory, overrides=[], shows_progress=False)
    assert run(config, identity).wait_for_address()
    watch.end()
    times = np.array([e["time"] for e in read(directory) if e["kind"] == "metrics" and e["step"]])
    moments, memory = np.array(watch.samples).T
    parts = {}
    for name, tenth in (("start", 1), ("end", 9)):
        first, last = (times[len(times) * n // 10 - 1] for n in (tenth, tenth + 1))
        inside = memory[(moments >= first) & (moments <= last)]
        parts[name] = {
            "us_per_epoch": 1e3 * float(last - first) / (len(times) / 10),
            "mb": float(np.median(inside)) / 1e6 if len(inside) else None,
        }
    print(json.dumps(parts))


if __name__ == "__main__":
    main()
