"""The learning tasks, and the classes from which a user's own task is made."""

from harness.tasks.base import Array, Bound, Samples, Task

__all__ = ["Array", "Bound", "Samples", "Task"]
