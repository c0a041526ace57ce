"""PyTorch: `torch.nn` layers and autograd, one module per replica.

PyTorch keeps kernels transposed, orders the GRU's gates r, z, n, and has a second bias vector in
every layer, of which the semantics say how much is trained; the rest is frozen at zero. Its layers
know no masks: see `real_steps_first`. The update rules are in `torch_optimizers.py`.
"""

import numpy as np
import torch
from torch import Tensor, nn

from backends import Data, State, TrainingSpec
from backends.torch_gru import GRUBefore
from backends.torch_losses import mean_loss
from backends.torch_optimizers import UPDATE, clip, decay
from harness.errors import ConfigError
from harness.model import ModelSpec, Params, shapes

Array = np.ndarray

NATIVE = {
    "kernel": "weight_ih",
    "recurrent_kernel": "weight_hh",
    "bias": "bias_ih",
    "recurrent_bias": "bias_hh",
}


class Network(nn.Module):
    """The stack of recurrent layers with its head, for one replica."""

    def __init__(self, model: ModelSpec, dtype: torch.dtype, device: str) -> None:
        super().__init__()
        self.model = model
        self.rnn = recurrent_layers(model, dtype, device)
        for name, parameter in self.rnn.named_parameters():
            if name.startswith("bias_hh"):
                parameter.requires_grad_(False).zero_()
                parameter.requires_grad_(model.biases != "single")
        if model.head == "dense":
            self.head = nn.Linear(model.units, model.outputs, dtype=dtype, device=device)

    def forward(self, x: Tensor, places: Tensor | None = None) -> Tensor:
        """`(B, T, F)` -> `(B, O)`, or `(B, T, O)` when every step is returned. `places` `(B, T)`
        says which of the layers' states each step has, −1 for the zeros at the beginning."""
        h, _ = self.rnn(x)
        if places is not None:
            places = (places if self.model.every_step else places[:, -1:])[..., None]
            h = torch.where(places < 0, 0, h.take_along_dim(places.clamp(min=0), dim=1))
        seen = h if self.model.every_step else h[:, -1]
        return self.head(seen) if self.model.head == "dense" else seen

    def parts(self) -> list[tuple[str, nn.Parameter]]:
        """The trained tensors with their canonical names; a GRU's bias of two rows has two."""
        found = []
        for name, shape in shapes(self.model).items():
            owner, _, kind = name.rpartition(".")
            if owner == "head":
                found.append((name, self.head.weight if kind == "kernel" else self.head.bias))
                continue
            layer = owner.removeprefix("rnn.")
            kinds = ["bias", "recurrent_bias"] if two_rows(name, shape) else [kind]
            found += [(name, getattr(self.rnn, f"{NATIVE[k]}_l{layer}")) for k in kinds]
        return found


class TorchBackend:
    """See `backends.Backend`.

    `trained` and each of `slots` are flat lists: for every one of a network's `parts`, its R
    replicas. Where part of a tensor is trained (a GRU's recurrent bias, of the candidate alone),
    the lists hold a view of that part, and the rest is in no norm and no update.
    """

    def __init__(self, model: ModelSpec, training: TrainingSpec, data: Data, state: State) -> None:
        self.device = choose_device(training.device)
        torch.set_num_threads(training.threads)
        self.model, self.training = model, training
        self.dtype = getattr(torch, training.precision)
        self.x, self.mask, self.places = self._inputs(data.x, data.mask)
        self.y = self._tensor(data.y)
        self.replicas = R = len(state.params["rnn.0.kernel"])
        self.networks = [Network(model, self.dtype, self.device) for _ in range(R)]
        self.names = [name for name, _ in self.networks[0].parts()]
        parts = zip(*(network.parts() for network in self.networks), strict=True)
        self.leaves = [leaf for replicas in parts for _, leaf in replicas]
        values = self._to_torch(state.params)
        self.trained = [
            leaf.detach()[-len(value) :] for leaf, value in zip(self.leaves, values, strict=True)
        ]
        for part, value in zip(self.trained, values, strict=True):
            part.copy_(value)
        self.slots = {slot: self._to_torch(memory) for slot, memory in state.slots.items()}
        self.step = state.step
        numbers = training.numbers | {"nesterov": np.array([float(training.nesterov)])}
        self.numbers = {key: self._each(np.resize(value, R)) for key, value in numbers.items()}
        self.norms = self._norms()

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        use_tf32(self.training.semantics.tf32)
        rows = torch.as_tensor(batches, device=self.device)  # (S, R, B)
        losses = []
        for s, rates in enumerate(lr):
            step_losses = torch.stack([self._loss(r, rows[s, r]) for r in range(self.replicas)])
            # Replicas share no parameter, so the gradient of the sum is each one's own gradient.
            gradients = torch.autograd.grad(step_losses.sum(), self.leaves)
            self._update(list(gradients), self._each(rates))
            losses.append(step_losses.detach())
        return torch.stack(losses).double().cpu().numpy()

    @torch.no_grad()
    def predict(self, x: Array, mask: Array | None = None) -> Array:
        use_tf32(self.training.semantics.tf32)
        inputs, _, places = self._inputs(x, mask)
        outputs = [
            network(of(inputs, r), None if places is None else of(places, r))
            for r, network in enumerate(self.networks)
        ]
        return torch.stack(outputs).cpu().numpy()

    def state(self) -> State:
        slots = {slot: self._to_canonical(values) for slot, values in self.slots.items()}
        return State(self._to_canonical(self.trained), slots, self.step)

    def _loss(self, replica: int, rows: Tensor) -> Tensor:
        mask, places = (
            None if part is None else of(part, replica)[rows] for part in (self.mask, self.places)
        )
        outputs = self.networks[replica](of(self.x, replica)[rows], places)
        y = of(self.y, replica)[rows]
        counted = mask if self.model.every_step else None
        return mean_loss(self.training.loss, self.training.semantics.bce, outputs, y, counted)

    @torch.no_grad()
    def _update(self, gradients: list[Tensor], lr: list[float]) -> None:
        """Clip, decay, step: the order that all backends follow."""
        s, n, θ = self.training.semantics, self.numbers, self.trained
        g = [whole[-len(part) :] for whole, part in zip(gradients, θ, strict=True)]
        if self.training.clip is not None:
            g = clip(g, self.norms, self.training.clip, s)
        if any(n["weight_decay"]):
            g = decay(θ, g, lr, n["weight_decay"], s)
        self.step += 1
        UPDATE[self.training.optimizer](θ, g, self.slots, self.step, lr, n, s)

    def _norms(self) -> Tensor:
        """The number of the norm that each entry of `trained` belongs to, for `clip`."""
        if self.training.semantics.clip_scope == "variable":  # by name, as a name may have two
            first = [self.replicas * self.names.index(name) for name in self.names]
        else:
            first = [0] * len(self.names)
        own = range(self.replicas)
        return torch.tensor([n + r for n in first for r in own], device=self.device)

    def _each(self, values: Array) -> list[float]:
        """One value per replica `(R,)` -> one per entry of `trained`."""
        return np.tile(values, len(self.names)).tolist()

    def _to_torch(self, values: Params) -> list[Tensor]:
        """Copies of canonical arrays, ordered and laid out as `trained`."""
        found: list[Tensor] = []
        for name, shape in shapes(self.model).items():
            value = self._swap_gates(name, values[name])
            if name.endswith("kernel"):
                value = value.swapaxes(1, 2)
            rows = value.swapaxes(0, 1) if two_rows(name, shape) else value[None]
            for row in rows:  # (R, …)
                found += self._tensor(np.array(row, order="C")).unbind()
        return found

    def _to_canonical(self, tensors: list[Tensor]) -> Params:
        """The inverse of `_to_torch`."""
        R = self.replicas
        parts = [tensors[i : i + R] for i in range(0, len(tensors), R)]
        rows = iter([torch.stack(part).cpu().numpy() for part in parts])  # (R, …) each
        found = {}
        for name, shape in shapes(self.model).items():
            value = np.stack([next(rows), next(rows)], 1) if two_rows(name, shape) else next(rows)
            if name.endswith("kernel"):
                value = np.ascontiguousarray(value.swapaxes(1, 2))
            found[name] = self._swap_gates(name, value)
        return found

    def _swap_gates(self, name: str, value: Array) -> Array:
        """The GRU's z and r change places on the last axis; the swap is its own inverse."""
        of_gates = name.startswith("rnn.") and not name.endswith("recurrent_bias")
        if self.model.cell != "gru" or not of_gates:
            return value
        z, r, h = np.split(value, 3, axis=-1)
        return np.concatenate([r, z, h], axis=-1)

    def _inputs(self, x: Array, mask: Array | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """What the networks take: inputs, and with a mask also that and `places`."""
        inputs = self._tensor(x)
        if mask is None:
            return inputs, None, None
        real = torch.as_tensor(np.asarray(mask, bool), device=self.device)
        front, places = real_steps_first(inputs, real)
        return front, real, places

    def _tensor(self, array: Array) -> Tensor:
        return torch.as_tensor(np.asarray(array), dtype=self.dtype, device=self.device)


def recurrent_layers(model: ModelSpec, dtype: torch.dtype, device: str) -> nn.Module:
    sizes = (model.features, model.units, model.layers)
    if model.cell == "gru" and model.reset == "before":
        return GRUBefore(*sizes, dtype=dtype, device=device)
    layer = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[model.cell]
    extra = {"nonlinearity": model.activation} if model.cell == "rnn" else {}
    return layer(*sizes, batch_first=True, dtype=dtype, device=device, **extra)


def two_rows(name: str, shape: tuple[int, ...]) -> bool:
    """A GRU's bias of two rows is two tensors in PyTorch."""
    return name.endswith(".bias") and len(shape) == 2


def of(array: Tensor, replica: int) -> Tensor:
    """The replica's own part, or the one part of data that all replicas share."""
    return array[replica % len(array)]


def real_steps_first(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Padding steps carry the state, so a sequence with padding has the states of its real steps,
    and layers that look back only do not see what comes after these: one pass of a fused layer.

    `x` `(R, N, T, F)`, `mask` `(R, N, T)` -> inputs `(R, N, T', F)` with the real steps first and
    zeros after them, T' their largest number; and the place `(R, N, T)` in there of the state that
    each step has, −1 where no real step came yet.
    """
    longest = max(int(mask.sum(-1).max()), 1)
    order = torch.argsort(~mask, dim=-1, stable=True)[..., :longest]
    front = torch.where(mask[..., None], x, 0).take_along_dim(order[..., None], dim=2)
    return front, mask.cumsum(-1) - 1


def use_tf32(rule: str) -> None:
    """The switches are the whole program's, so every call sets them. Only cuDNN's recurrent layers
    heed `recurrent`; `GRUBefore` is none."""
    torch.backends.cudnn.allow_tf32 = rule != "off"
    torch.backends.cuda.matmul.allow_tf32 = rule == "on"


def choose_device(device: str) -> str:
    """`auto` takes a GPU that this build of PyTorch can use; `cuda` insists on it."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"device=cuda: this PyTorch ({torch.__version__}) cannot use a GPU; install a CUDA "
            "build of it, or use device=cpu."
        )
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
