"""The kernel and the threads of the program that several runs share."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from backends import BackendFactory
from harness.sweeps.grouping import merge_plans
from harness.training.kernel_choice import Arrays, chosen, workload_of
from harness.training.plan import Plan


def planned_together(plans: Sequence[Plan], factory: BackendFactory, results: Path) -> list[Plan]:
    """Return the plans with the kernel of their program; see `kernel_choice.planned`."""

    def arrays() -> Arrays:
        _, data, start, _ = merge_plans(plans)
        calls = [next(plan.schedule.epoch(1)) for plan in plans]
        batches, lr = (np.concatenate(parts, axis=1) for parts in zip(*calls, strict=True))
        return Arrays(data=data, start=start, batches=batches, lr=lr)

    updates = max(plan.execution.updates for plan in plans)
    work = replace(
        workload_of(plans[0]),
        replicas=sum(plan.config.replicas for plan in plans),
        arrays=arrays,
    )
    work = replace(work, execution=replace(work.execution, updates=updates))
    execution, figures = chosen(work, factory, results)
    kernel, threads, each = execution.kernel, execution.threads, execution.each
    return [
        replace(
            plan,
            execution=replace(plan.execution, kernel=kernel, threads=threads, each=each),
            figures=figures,
        )
        for plan in plans
    ]
