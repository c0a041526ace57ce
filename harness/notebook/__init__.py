"""Run, load and compare from a notebook or a script.

>>> from harness import compare_runs, run
>>> settings = ["task=sum", "trainer.epochs=3", "precision=float64", "tracking=journal"]
>>> numpy = run("backend=numpy", *settings)
>>> torch = run("backend=torch", *settings)
>>> numpy.status
'FINISHED'
>>> numpy.curves.loc[3, "val/loss"].item() < numpy.curves.loc[1, "val/loss"].item()
True
>>> bool(compare_runs(numpy, torch).loc[1, "gap"] < 1e-12)
True
"""

from harness.notebook.comparison import check_agreement, compare_runs
from harness.notebook.runs import Run, find_runs, load_run, run

__all__ = ["Run", "check_agreement", "compare_runs", "find_runs", "load_run", "run"]
