"""What a backend computes on a problem, stage by stage; `difference.py` says how two compare.

The stages are in the order in which one causes the next: a backend that is wrong at one is wrong at
all that follow, so the first that fails is the one to look at.

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

All of it goes through the contract alone: hidden states are the outputs of the network cut off
after a layer, gradients come from `harness/training/gradient.py`.
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

Found = dict[str, Params]  # stage -> what was computed: tensor -> (R, …), losses (S, R)


@dataclass(frozen=True)
class Trace:
    """What one backend computed, and on which device."""

    found: Found
    device: str
    last: Params = field(default_factory=dict)  # its own weights after the last step


def steps_compared(steps: int) -> str:
    """Which steps the stages of a comparison over `steps` steps are about."""
    several = f"steps 1 to {steps}" if steps > 1 else "step 1"
    return f"losses of {several}, resumed at step {steps + 1}, everything else of step 1"


def trace(
    backend_class: BackendFactory, problem: Problem, step: int = 0, state: State | None = None
) -> Trace:
    """Everything that the stages compare, from `state` (by default the problem's) at `step`.

    From a given state, the later steps are left out.
    """
    start = problem.state if state is None else state
    x, mask = problem.batch(step)
    backend = problem.build(backend_class, start)
    found: Found = {"names": backend.state().params}
    if not same_form(found["names"], start.params):
        return Trace({**{stage: {} for stage in STAGES}, **found}, backend.device)
    found["outputs"] = {"outputs": backend.predict(x, mask)}
    losses = problem.train(backend, step, step + 1)
    after = backend.state()
    found["loss"] = {"loss": losses[0]}
    found["weights"] = after.params
    found["optimiser slots"] = memory(after)
    last = after.params
    if state is None:
        losses = np.concatenate([losses, *_later_losses(problem, backend)])
        last = backend.state().params
        found["resumed"] = resumed(backend_class, problem, backend)
    found["losses"] = {"losses": losses}
    found["hidden states"] = {
        f"layer {layer}": hidden_states(backend_class, problem, start, layer, x, mask)
        for layer in range(problem.model.layers)
    }
    found["gradients"] = gradients(
        backend_class,
        problem.model,
        problem.training,
        problem.data,
        start,
        problem.batches[step],
        problem.execution,
    )
    return Trace(found, backend.device, last)


def same_form(one: Params, other: Params) -> bool:
    """The same names, with the same shapes."""
    return {n: v.shape for n, v in one.items()} == {n: v.shape for n, v in other.items()}


def memory(state: State) -> Params:
    """The optimiser's memory by slot and name, and how many updates it has behind it."""
    found = {f"{s} of {n}": v for s, kept in state.slots.items() for n, v in kept.items()}
    return found | {"updates done": np.array([[float(state.step)]])}


def resumed(backend_class: BackendFactory, problem: Problem, backend: Backend) -> Params:
    """The last batch once more, by a backend that is built from the state of `backend`."""
    steps = len(problem.batches)
    anew = problem.build(backend_class, backend.state())
    problem.train(anew, steps - 1, steps)
    return {"outputs": backend.predict(*problem.batch(0)), **anew.state().params}


def _later_losses(problem: Problem, backend: Backend) -> list[Array]:
    """Of all steps but the first: those of the first epoch one by one, then epochs at a time, so
    that a backend which compiles a program for each number of steps compiles few."""
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
    """The states `(R, N, T, U)` of one recurrent layer: outputs of the network cut off after it."""
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
