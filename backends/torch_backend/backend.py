"""PyTorch: autograd, with replicas as the first axis of every weight.

An epoch is a loop over `step.step`, in one of four kernels: `modules` calls `nn.RNN`, `nn.LSTM` or
`nn.GRU` for each replica; `stacked` multiplies all replicas at once, time step by time step;
`compiled` is `stacked` with each update compiled into one program, and `graphed`, on a GPU, with
each update as one CUDA graph. Layout and gate order are canonical in all.
"""

import numpy as np
import torch
from torch import Tensor

from backends import CPU, Data, Execution, State, TrainingSpec
from backends.flat import flatten, unflatten
from backends.samples import samples_of
from backends.torch_backend.cells import network
from backends.torch_backend.compiled import Compiled, compiler_present
from backends.torch_backend.graphed import Graphed
from backends.torch_backend.modules import Modules
from backends.torch_backend.native_layout import to_canonical, to_native
from backends.torch_backend.optimizers import Tensors, numbers, rates
from backends.torch_backend.step import rules_of, stacked, step
from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.model import GATES, ModelSpec, Params

# From LONG updates on, `stacked` is preferred to PyTorch's layers for its speed. Compiling takes 13
# to 50 seconds on two cores, growing with the number of cells, and saves 0.7 to 4 milliseconds per
# update.
LONG, WORTH_COMPILING = 2_000, 20_000
MAX_CELLS = 50  # time steps times layers
SMALL = 2_048  # gates in one time step of all replicas; below, a second thread is slower
WIDE = 64  # units; in a wider LSTM, oneDNN's loop is as fast as compiled code, even for replicas

Program = Compiled | Graphed
PROGRAMS: dict[str, type[Program]] = {"compiled": Compiled, "graphed": Graphed}


class TorchBackend:
    """The PyTorch backend; see `backends.Backend`."""

    def __init__(
        self,
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
        execution: Execution = CPU,
    ) -> None:
        self.device = choose_device(execution.device)
        self.model, self.training, self.step = model, training, state.step
        self.dtype = getattr(torch, training.precision)
        self.replicas = len(state.params["rnn.0.kernel"])
        self.kernel = choose_kernel(model, data, execution, self.replicas, self.device)
        self.weights = self._flat(state.params)  # (R, P)
        self.slots = {slot: self._flat(values) for slot, values in state.slots.items()}
        self.forward = Modules(model, self.weights) if self.kernel == "modules" else stacked
        samples = samples_of(data, self.replicas)
        kinds = {"mask": torch.bool}
        self.data = {n: self._tensor(a, kinds.get(n)) for n, a in samples.arrays.items()}
        self.offset = samples.offset
        self.numbers = {n: self._per_replica(v[None])[0] for n, v in numbers(training).items()}
        self.rules = rules_of(model, training)
        gates = execution.batch * GATES[model.cell] * model.units * self.replicas
        self.threads = execution.threads_each if gates >= SMALL else 1
        self.programs: dict[torch.Size, Program] = {}  # by the shape of a batch

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Do S updates; return the mean loss before each, `(S, R)`: see `backends.Backend`."""
        self._use_switches()
        rows = np.ascontiguousarray(batches + self.offset)  # (S, R, B)
        step_numbers = rates(self.training, lr, self.step)
        steps = zip(*map(self._per_replica, step_numbers.values()), strict=True)
        changing = [dict(zip(step_numbers, values, strict=True)) for values in steps]
        rows_on_device = torch.as_tensor(rows, device=self.device)
        losses = [self._update(*step) for step in zip(rows_on_device, changing, strict=True)]
        self.step += len(lr)
        return torch.stack(losses).double().cpu().numpy()

    def _update(self, rows: Tensor, changing: Tensors) -> Tensor:
        """Update all replicas with the samples `rows` `(R, B)`; return the losses `(R,)` before."""
        if rows.shape in self.programs:
            return self.programs[rows.shape](rows, changing)
        arguments = (self.weights, self.slots, self.data, rows, self.numbers | changing)
        if self.kernel not in PROGRAMS:
            return step(self.rules, self.forward, *arguments)
        program = PROGRAMS[self.kernel](self.rules, *arguments)
        self.programs[rows.shape] = program
        return program(rows, changing)

    @torch.no_grad()
    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return raw outputs `(R, N, O)` or `(R, N, T, O)`: see `backends.Backend`."""
        self._use_switches()
        inputs = self._tensor(np.broadcast_to(x, (self.replicas, *x.shape[1:])))
        real = None
        if mask is not None:
            masks = np.broadcast_to(mask, (self.replicas, *mask.shape[1:]))
            real = self._tensor(masks, torch.bool)
        if self.kernel == "modules" and real is not None:  # PyTorch's layers take no masks
            canonical = self._params(self.weights).items()
            weights = {name: self._tensor(values) for name, values in canonical}
            return network(self.model, weights, inputs, real).cpu().numpy()
        return self.forward(self.model, self.weights, inputs, real)[1].cpu().numpy()

    def state(self) -> State:
        """Return a copy of weights, optimiser memory and step count."""
        slots = {slot: self._params(flat) for slot, flat in self.slots.items()}
        return State(self._params(self.weights), slots, self.step)

    def _use_switches(self) -> None:
        """Set threads and TF32, which are global to the process, at every call."""
        torch.set_num_threads(self.threads)
        use_tf32(self.training.semantics.tf32)

    def _per_replica(self, values: Array) -> tuple[Tensor, ...]:
        """Return numbers `(S, R or 1)` as S tensors `(R, 1)` in the training precision."""
        repeated = np.broadcast_to(values, (len(values), self.replicas))[..., None]
        return self._tensor(repeated).unbind()

    def _flat(self, params: Params) -> Tensor:
        """Return canonical arrays as one tensor `(R, P)`, in the kernel's layout."""
        native = self.kernel == "modules"
        return self._tensor(
            flatten(to_native(params, self.model) if native else params, self.model)
        )

    def _params(self, flat: Tensor) -> Params:
        params = unflatten(flat.cpu().numpy(), self.model)
        if self.kernel == "modules":
            params = to_canonical(params, self.model)
        return {name: values.copy() for name, values in params.items()}

    def _tensor(self, array: Array, dtype: torch.dtype | None = None) -> Tensor:
        """Return a copy on the device, since updates are in place."""
        dtype = self.dtype if dtype is None else dtype
        return torch.tensor(np.ascontiguousarray(array), dtype=dtype, device=self.device)


def choose_kernel(
    model: ModelSpec, data: Data, execution: Execution, replicas: int, device: str
) -> str:
    """Return the requested kernel, or with `auto` the one that is likely to be fastest.

    Raises `ConfigError` for a kernel that cannot train this network on this machine.
    """
    other_gru = model.cell == "gru" and model.reset == "before"
    requested, cells = execution.kernel, model.layers * data.x.shape[2]
    if requested == "modules" and (other_gru or data.mask is not None):
        reason = "nn.GRU resets after the product only" if other_gru else "nn.RNN takes no masks"
        raise ConfigError(f"backend.kernel=modules: {reason}; use stacked, compiled or auto.")
    if requested == "graphed" and device == "cpu":
        raise ConfigError(
            "backend.kernel=graphed: needs a GPU, and this run is on the CPU; use stacked, "
            "compiled or auto."
        )
    if requested == "compiled" and not compiler_present():
        raise ConfigError(
            "backend.kernel=compiled: needs a C++ compiler, such as g++, and finds none; install "
            "one, or use backend.kernel=auto."
        )
    if requested != "auto":
        return requested
    wide_lstm = model.cell == "lstm" and model.units > WIDE and device == "cpu"
    worth_compiling = execution.updates >= WORTH_COMPILING and cells <= MAX_CELLS and not wide_lstm
    if worth_compiling and compiler_present():
        return "compiled"
    if other_gru or data.mask is not None:
        return "stacked"
    if replicas > 1:
        return "modules" if wide_lstm else "stacked"
    return "stacked" if model.cell == "rnn" and execution.updates >= LONG else "modules"


def use_tf32(rule: str) -> None:
    """Set PyTorch's TF32 switches.

    `recurrent` acts on cuDNN's recurrent layers (the kernel `modules`) alone.
    """
    torch.backends.cudnn.allow_tf32 = rule != "off"
    torch.backends.cuda.matmul.allow_tf32 = rule == "on"


def choose_device(device: str) -> str:
    """Return "cuda" or "cpu"; `auto` takes a GPU where PyTorch can use one.

    Raises `ConfigError` for `cuda` where it cannot.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"device=cuda: this PyTorch ({torch.__version__}) cannot use a GPU; install a CUDA "
            "build of it, or use device=cpu."
        )
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
