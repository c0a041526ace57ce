"""Figures of earlier runs, one small JSON file for each shape and candidate: `cache/kernels`.

A file is never overwritten: the first figures of a shape count, so that equal runs choose the same
kernel. A file that is damaged, or somebody else's, stays as it is, and the figures go into the next
one, `NAME-2.json`.
"""

import hashlib
import json
import logging
import math
import os
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from harness.core.errors import first_line
from harness.system.durable_files import write_new
from harness.training.kernel_figures import Figures

log = logging.getLogger(__name__)

FORMAT = 1
MOST_BYTES = 100_000


class KeptFigures:
    """The files in `folder` of one shape, see `Workload.shape`."""

    def __init__(self, folder: Path, shape: dict[str, Any]) -> None:
        self.folder = folder
        text = json.dumps(shape, sort_keys=True)
        self.shape = json.loads(text)  # as it is read again
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:16]

    def read(self, kernel: str, threads: int) -> Figures | None:
        """Return the figures of a kernel with so many threads, None where there are none."""
        for path in self._paths(kernel, threads):
            if not os.path.lexists(path):
                return None
            figures = self._figures_in(path)
            if figures is not None and (figures.kernel, figures.threads) == (kernel, threads):
                return figures
        return None

    def keep(self, figures: Figures) -> Figures:
        """Write figures, unless another process has in the meantime; return those that count."""
        earlier = self.read(figures.kernel, figures.threads)
        if earlier is not None:
            return earlier
        content = {"format": FORMAT, "shape": self.shape, **vars(figures)}
        text = json.dumps(content, indent=2) + "\n"
        try:
            for path in self._paths(figures.kernel, figures.threads):
                if not os.path.lexists(path):
                    write_new(path, text)
                    break
        except FileExistsError:
            return self.read(figures.kernel, figures.threads) or figures
        except OSError as error:
            log.warning("figures of kernel %s are not kept: %s", figures.kernel, first_line(error))
        return figures

    def _paths(self, kernel: str, threads: int) -> Iterator[Path]:
        name = f"{self.digest}-{re.sub(r'[^A-Za-z0-9_]', '_', kernel)}-{threads}"
        yield self.folder / f"{name}.json"
        for number in count(2):
            yield self.folder / f"{name}-{number}.json"

    def _figures_in(self, path: Path) -> Figures | None:
        """Return the figures in a file, None for one that is damaged or of something else."""
        try:
            with path.open("rb") as file:
                found = json.loads(file.read(MOST_BYTES))
            figures = Figures(
                kernel=str(found["kernel"]),
                threads=int(found["threads"]),
                start_s=float(found["start_s"]),
                step_us=float(found["step_us"]),
            )
            same = found["format"] == FORMAT and found["shape"] == self.shape
        except (OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
            return None
        possible = 0 <= figures.start_s < math.inf and 0 < figures.step_us < math.inf
        return figures if same and possible else None
