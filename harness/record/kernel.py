"""Watch the trainings of a notebook, in its kernel."""

import atexit

from harness.record.trainings import Trainings, watch

_watched: list[Trainings] = []


def begin(settings: str) -> None:
    """Watch the kernel from now on; see `harness.record.trainings.watch`."""
    trainings = watch(settings)
    _watched.append(trainings)
    atexit.register(trainings.finish)  # also of a kernel that is stopped


def end() -> None:
    """Write the recording: all cells have been run."""
    atexit.unregister(_watched[0].finish)
    _watched[0].finish()
