"""The tasks, and what a task of your own is made of."""

from harness.tasks.base import Array, Bound, Samples, Task

__all__ = ["Array", "Bound", "Samples", "Task"]
