"""`backend.kernel=auto`: measure the kernels of a long run on its own data, and keep the figures.

`planned` gives a plan its kernel and threads before anything is built from it, so that all numbers
of a run are those of one kernel. Trial steps are done by backends that are thrown away.
"""

from harness.training.kernel_choice.choice import chosen, planned
from harness.training.kernel_choice.workload import Arrays, workload_of

__all__ = ["Arrays", "chosen", "planned", "workload_of"]
