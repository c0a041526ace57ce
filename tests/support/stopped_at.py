"""Programs that send themselves a signal at a stated point, for real.

Python imports `sitecustomize` in every process before anything else.
"""

import signal
from pathlib import Path

# Files get their names by `os.replace`, and lines of a journal are written by `os.write`.
MODULE = """
import os

replace, write = os.replace, os.write


def stop():
    os.kill(os.getpid(), {number})


def replace_or_stop(source, target):
    named = str(target).endswith({point!r})
    if named and not {after}:
        stop()
    replace(source, target)
    if named and {after}:
        stop()


def write_or_stop(file, data):
    if {point!r}.encode() not in data:
        return write(file, data)
    if {after}:
        written = write(file, data)
    else:
        written = write(file, data[:20])
    stop()
    return written


os.replace, os.write = replace_or_stop, write_or_stop
"""


def stopped_at(
    folder: Path, point: str, number: signal.Signals = signal.SIGKILL, after: bool = False
) -> Path:
    """Write a module that stops programs at `point`, and return its folder, for `program.start`.

    `point` is the end of the path of a file that is about to get its name, or what a line of a
    journal contains that is written half by then. With `after` it has its name, or is written.
    """
    folder.mkdir(parents=True)
    text = MODULE.format(number=int(number), point=point, after=after)
    (folder / "sitecustomize.py").write_text(text)
    return folder
