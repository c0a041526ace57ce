"""The losses of candidates: the NumPy backend trains the recorded batches under their rules.

Candidates that differ in the optimiser's numbers alone are replicas of one program.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from backends import Data, TrainingSpec
from backends.numpy_backend import NumpyBackend
from harness.core.arrays import Array
from harness.core.semantics import RULES, Semantics
from harness.identify.candidates import Rules
from harness.identify.case import Case
from harness.identify.keras_rounding import build, rates, rounded
from harness.parity.problem import Problem
from harness.training.checkpoints import fresh_state

OF_OPTIMIZER = {"sgd": ("momentum",), "adam": ("beta1", "beta2"), "rmsprop": ("rho",)}
NUMBERS = {  # setting -> the optimiser's number, which may differ from replica to replica
    "optimizer.weight_decay": "weight_decay",
    "optimizer.momentum": "momentum",
    "optimizer.beta1": "beta1",
    "optimizer.beta2": "beta2",
    "semantics.rmsprop_rho": "rho",
}


def losses(case: Case, candidates: Sequence[Rules], steps: int) -> Array:
    """Return the losses `(S, C)` of the first `steps` steps of C candidates."""
    programs: dict[tuple[Any, ...], list[int]] = {}
    for number, rules in enumerate(candidates):
        program = tuple(value for key, value in rules.items() if key not in NUMBERS)
        programs.setdefault(program, []).append(number)
    result = np.empty((steps, len(candidates)))
    for members in programs.values():
        problem = problem_of(case, [candidates[number] for number in members], steps)
        rules = candidates[members[0]]
        backend = build(problem, rules) if case.rounded else problem.build(NumpyBackend)
        result[:, members] = problem.train(backend, 0, steps)
    return result


def problem_of(case: Case, candidates: Sequence[Rules], steps: int) -> Problem:
    """Return the training of candidates that differ in `NUMBERS` alone, each a replica."""
    R, rules = len(candidates), candidates[0]
    semantics = semantics_of(rules)
    model = case.model_of(
        rules["model.activation"],
        rules["model.returns"],
        semantics.gru_biases if case.model.cell == "gru" else semantics.biases,
        semantics.gru_reset,
    )
    params = case.params_of(model)
    assert params is not None
    numbers = {
        name: np.array([_number(name, candidate[key], case) for candidate in candidates])
        for key, name in NUMBERS.items()
        if name in ("weight_decay", *OF_OPTIMIZER[rules["optimizer"]])
    }
    training = TrainingSpec(
        loss=rules["loss"],
        optimizer=rules["optimizer"],
        numbers=numbers,
        nesterov=rules["optimizer.nesterov"] and rules["optimizer"] == "sgd",
        clip=rules["trainer.clip"],
        semantics=semantics,
        precision=case.precision,
    )
    y = case.targets[rules["model.returns"]]
    start = {name: np.repeat(value[None], R, axis=0) for name, value in params.items()}
    return Problem(
        model=model,
        training=training,
        data=Data(case.x[None].astype(case.precision), y[None].astype(case.precision)),
        state=fresh_state(start, training),
        batches=[np.broadcast_to(rows, (R, len(rows))) for rows in case.batches[:steps]],
        lr=np.stack([_rates(rules, case)[:steps] for rules in candidates], axis=1),
    )


def semantics_of(rules: Rules) -> Semantics:
    """Return the semantics of a candidate."""
    values: Rules = {rule: rules[f"semantics.{rule}"] for rule in RULES}
    return Semantics(name="candidate", **values)


def _number(name: str, value: float, case: Case) -> float:
    return rounded(name, value) if case.rounded else value


def _rates(rules: Rules, case: Case) -> Array:
    return rates(rules, case.lr) if case.rounded else case.lr
