"""The memory of a piece of work: it counts only where it is the work's own."""

import subprocess
import sys

from harness.system.peak_memory import Resident, peak_since, resident
from tests.support import ROOT

WORK = """
import numpy as np
from harness.system.peak_memory import peak_since, resident

MEGABYTE = 1 << 20
before = resident()
assert peak_since(before) is None, "nothing was done"
size = 2 * before.peak + 64 * MEGABYTE
work = np.ones(size, dtype=np.uint8)
assert size <= peak_since(before) <= size + before.now + 16 * MEGABYTE
del work
later = resident()
assert later.now < later.peak / 2
again = np.ones(size // 4, dtype=np.uint8)
assert peak_since(later) is None, "the peak is that of earlier work"
print("checked")
"""


def test_the_peak_is_that_of_work_that_has_raised_it() -> None:
    """In a process of its own, whose peak is known."""
    words = [sys.executable, "-c", WORK]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "checked\n"), done.stderr


def test_a_peak_of_which_most_was_there_before_says_nothing() -> None:
    now = resident()
    assert now is not None
    assert peak_since(Resident(now=now.peak, peak=0)) is None
    assert peak_since(Resident(now=now.peak // 3, peak=0)) is not None
    assert peak_since(None) is None
