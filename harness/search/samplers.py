"""Optuna's samplers, with their arguments written out: defaults differ between its versions.

Each trial has a sampler of its own, whose random numbers follow from the search's seed and the
trial's job. So a search that is stopped and goes on asks for the same trials.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.search.settings import Search
from harness.search.space import Parameter

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


def sampler_for(search: Search, space: Sequence[Parameter], job: int) -> "BaseSampler":
    """Return the sampler of the trial that is job number `job` of the sweep."""
    from optuna import samplers

    seed = int(np.random.SeedSequence([search.seed, job]).generate_state(1)[0])
    if search.sampler == "tpe":
        return samplers.TPESampler(
            n_startup_trials=10,
            n_ei_candidates=24,
            multivariate=True,
            group=False,
            constant_liar=True,  # trials that are being trained repel those asked beside them
            seed=seed,
        )
    if search.sampler == "cmaes":
        return samplers.CmaEsSampler(
            n_startup_trials=1,
            independent_sampler=samplers.RandomSampler(seed=seed),  # of choices
            warn_independent_sampling=False,
            consider_pruned_trials=False,
            use_separable_cma=False,
            with_margin=False,
            lr_adapt=False,
            seed=seed,
        )
    if search.sampler == "grid":  # trial n has point n, of an order that all programs know
        values = {parameter.name: list(parameter.values or ()) for parameter in space}
        return samplers.GridSampler(values, seed=search.seed)
    return samplers.RandomSampler(seed=seed)
