"""The learning tasks, and the classes from which a user's own task is made."""

from harness.core.arrays import Array
from harness.tasks.base import Bound, Samples, Task

__all__ = ["Array", "Bound", "Samples", "Task"]
