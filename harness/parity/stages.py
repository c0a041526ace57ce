"""Compute what a backend gives on a problem, stage by stage; `difference.py` compares two backends.

The stages are in causal order: a backend that is wrong at one is wrong at all that follow, so the
first that fails is the one to look at.

    names            names, shapes and precision of the weights
    hidden states    of every layer and time step
    outputs          of the first batch
    loss             of the first batch
    gradients        of every parameter
    optimiser slots  after one step
    weights          after one step
    losses           of every step
    resumed          weights after one step more, by a backend built anew from the last state;
                     outputs of the last weights

Only the contract is used: hidden states are the outputs of the network truncated after a layer, and
gradients come from `harness/training/gradient.py`.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from backends import Array, Backend, BackendFactory, Data, State
from harness.core.model import Params, shapes
from harness.parity.problem import Problem
from harness.training.gradient import gradients, plain_sgd

STAGES = (
    "names",
    "hidden states",
    "outputs",
    "loss",
    "gradients",
    "optimiser slots",
    "weights",
    "losses",
    "resumed",
)

StageTensors = dict[str, Params]  # stage -> tensor -> (R, …), for losses (S, R)


@dataclass(frozen=True)
class Trace:
    """The tensors that one backend computed, and its device."""

    stages: StageTensors
    device: str
    last_weights: Params = field(default_factory=dict)  # after the last step, not resumed


def steps_compared(steps: int) -> str:
    """Return in words which steps the stages of a comparison over `steps` steps cover."""
    several = f"steps 1 to {steps}" if steps > 1 else "step 1"
    return f"losses of {several}, resumed at step {steps + 1}, everything else of step 1"


def trace(
    backend_class: BackendFactory, problem: Problem, step: int = 0, state: State | None = None
) -> Trace:
    """Compute all tensors of the stages, from `state` at `step`.

    The default is the problem's own state. With a given state, later steps are left out.
    """
    start = problem.state if state is None else state
    x, mask = problem.batch(step)
    backend = problem.build(backend_class, start)
    stages: StageTensors = {"names": backend.state().params}
    if not same_form(stages["names"], start.params):
        return Trace({**{stage: {} for stage in STAGES}, **stages}, backend.device)
    stages["outputs"] = {"outputs": backend.predict(x, mask)}
    losses = problem.train(backend, step, step + 1)
    after = backend.state()
    stages["loss"] = {"loss": losses[0]}
    stages["weights"] = after.params
    stages["optimiser slots"] = memory(after)
    last = after.params
    if state is None:
        losses = np.concatenate([losses, *_later_losses(problem, backend)])
        last = backend.state().params
        stages["resumed"] = resumed(backend_class, problem, backend)
    stages["losses"] = {"losses": losses}
    stages["hidden states"] = {
        f"layer {layer}": hidden_states(backend_class, problem, start, layer, x, mask)
        for layer in range(problem.model.layers)
    }
    stages["gradients"] = gradients(
        backend_class,
        problem.model,
        problem.training,
        problem.data,
        start,
        problem.batches[step],
        problem.execution,
    )
    return Trace(stages, backend.device, last)


def same_form(first: Params, second: Params) -> bool:
    """Return whether both have the same names with the same shapes."""
    return {n: v.shape for n, v in first.items()} == {n: v.shape for n, v in second.items()}


def memory(state: State) -> Params:
    """Return the optimiser's memory by slot and name, and its number of updates so far."""
    slots = {f"{s} of {n}": v for s, values in state.slots.items() for n, v in values.items()}
    return slots | {"updates done": np.array([[float(state.step)]])}


def resumed(backend_class: BackendFactory, problem: Problem, backend: Backend) -> Params:
    """Return weights after the last batch is repeated by a backend built from `backend.state()`.

    The outputs are those of `backend` itself, for the first batch.
    """
    steps = len(problem.batches)
    rebuilt = problem.build(backend_class, backend.state())
    problem.train(rebuilt, steps - 1, steps)
    return {"outputs": backend.predict(*problem.batch(0)), **rebuilt.state().params}


def _later_losses(problem: Problem, backend: Backend) -> list[Array]:
    """Train all steps but the first and return their losses.

    The first epoch is trained step by step, the rest in calls of many steps, so that a backend that
    compiles a program for each number of steps compiles few.
    """
    sizes = [rows.shape for rows in problem.batches]
    short = [step for step, size in enumerate(sizes) if size != sizes[0]]
    first_epoch = short[0] + 1 if short else 1
    singles = [problem.train(backend, step, step + 1) for step in range(1, first_epoch)]
    rest = len(sizes) - first_epoch
    return singles + ([problem.train(backend, first_epoch, len(sizes))] if rest else [])


def hidden_states(
    backend_class: BackendFactory,
    problem: Problem,
    state: State,
    layer: int,
    x: Array,
    mask: Array | None,
) -> Array:
    """Return the states `(R, N, T, U)` of a layer: outputs of the network truncated after it."""
    cut = replace(
        problem.model,
        layers=layer + 1,
        returns="every_step",
        head="none",
        outputs=problem.model.units,
    )
    params = {name: state.params[name] for name in shapes(cut) if name in state.params}
    y = np.zeros((*x.shape[:1], 1, x.shape[2], cut.units), x.dtype)
    training = plain_sgd(replace(problem.training, loss="mse"))
    execution = replace(problem.execution, updates=1)
    backend = backend_class(cut, training, Data(x[:, :1], y), State(params), execution)
    return backend.predict(x, mask)
