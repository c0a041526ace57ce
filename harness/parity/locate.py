"""Locate a difference of two backends at a known stage: layer, tensor, gate and time step.

A backend is a black box here: only the contract is used, in two experiments, `forward_place.py` and
`gradient_place.py`.
"""

from backends import State
from harness.core.difference import Difference
from harness.parity.forward_place import locate_outputs, locate_states
from harness.parity.gradient_place import locate_gradient
from harness.parity.place import Place, place_of_tensor
from harness.parity.problem import Pair, Problem


def locate(difference: Difference, problem: Problem, pair: Pair, step: int, state: State) -> Place:
    """Return the place of a difference that `pair` shows at `step`, from 0, and from `state`."""
    if not difference.index:  # a tensor that is missing, or of another shape
        return Place(
            stage=difference.stage, step=step + 1, tensor=difference.tensor, note=difference.note
        )
    if difference.stage == "hidden states":
        return locate_states(difference, problem, pair, step, state)
    if difference.stage == "gradients":
        return locate_gradient(difference, problem, pair, step, state)
    if difference.stage in ("optimiser slots", "weights", "names"):
        tensor = difference.tensor.rpartition(" of ")[2]
        return place_of_tensor(difference, problem.model, tensor, step)
    if difference.stage == "outputs" and problem.model.head == "dense":
        return locate_outputs(difference, problem, pair, step, state)
    return Place(
        stage=difference.stage, step=step + 1, tensor=difference.tensor, note=difference.note
    )
