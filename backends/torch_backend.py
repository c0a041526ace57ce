"""PyTorch: `torch.nn` layers, autograd and `torch.optim`, one module per replica.

PyTorch keeps kernels transposed, orders the GRU's gates r, z, n, and has a second bias vector in
every layer. The second bias is frozen at zero, except in the GRU, whose canonical
bias has two rows.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from backends import Data, State, TrainingSpec
from harness.errors import ConfigError
from harness.model import ModelSpec, Params, shapes

Array = np.ndarray

SQUARES = {"adam": "exp_avg_sq", "rmsprop": "square_avg"}


class Network(nn.Module):
    """The stack of recurrent layers with its head, for one replica."""

    def __init__(self, model: ModelSpec, dtype: torch.dtype, device: str) -> None:
        super().__init__()
        self.model = model
        layer = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[model.cell]
        extra = {"nonlinearity": model.activation} if model.cell == "rnn" else {}
        self.rnn = layer(
            model.features,
            model.units,
            model.layers,
            batch_first=True,
            dtype=dtype,
            device=device,
            **extra,
        )
        if model.cell != "gru":
            for name, parameter in self.rnn.named_parameters():
                if name.startswith("bias_hh"):
                    parameter.requires_grad_(False).zero_()
        if model.head == "dense":
            self.head = nn.Linear(model.units, model.outputs, dtype=dtype, device=device)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, T, F)` -> `(B, O)`, or `(B, T, O)` when every step is returned."""
        h, _ = self.rnn(x)
        seen = h if self.model.every_step else h[:, -1]
        return self.head(seen) if self.model.head == "dense" else seen

    def canonical(self) -> dict[str, list[Tensor]]:
        """The parameters behind each canonical name: a pair for the two rows of a GRU's bias."""
        found: dict[str, list[Tensor]] = {}
        for layer in range(self.model.layers):
            of = lambda kind, layer=layer: getattr(self.rnn, f"{kind}_l{layer}")  # noqa: E731
            found[f"rnn.{layer}.kernel"] = [of("weight_ih")]
            found[f"rnn.{layer}.recurrent_kernel"] = [of("weight_hh")]
            found[f"rnn.{layer}.bias"] = [of("bias_ih")]
            if self.model.cell == "gru":
                found[f"rnn.{layer}.bias"].append(of("bias_hh"))
        if self.model.head == "dense":
            found |= {"head.kernel": [self.head.weight], "head.bias": [self.head.bias]}
        return found


class TorchBackend:
    """See `backends.Backend`."""

    def __init__(self, model: ModelSpec, training: TrainingSpec, data: Data, state: State) -> None:
        self.device = choose_device(training.device)
        torch.set_num_threads(training.threads)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        self.model, self.training = model, training
        self.dtype = getattr(torch, training.precision)
        self.x, self.y = self._tensor(data.x), self._tensor(data.y)
        self.replicas = len(state.params["rnn.0.kernel"])
        self.networks = [Network(model, self.dtype, self.device) for _ in range(self.replicas)]
        self.optimizer = self._optimizer()
        self.step = state.step
        self._load(state)

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        rows = torch.as_tensor(batches, device=self.device)  # (S, R, B)
        losses = []
        for s, rates in enumerate(lr.tolist()):
            self.optimizer.zero_grad(set_to_none=True)
            step_losses = [self._loss(r, rows[s, r]) for r in range(self.replicas)]
            # Replicas share no parameter, so the gradient of the sum is each one's own gradient.
            torch.stack(step_losses).sum().backward()
            for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
                self._clip_and_decay(group["params"], rate, group["decay"])
                group["lr"] = rate
            self.optimizer.step()
            losses.append(torch.stack(step_losses).detach())
        self.step += len(losses)
        return torch.stack(losses).double().cpu().numpy()

    @torch.no_grad()
    def predict(self, x: Array) -> Array:
        inputs = self._tensor(x).expand(self.replicas, *x.shape[1:])
        outputs = [network(inputs[r]) for r, network in enumerate(self.networks)]
        return torch.stack(outputs).cpu().numpy()

    def state(self) -> State:
        params = self._gather(lambda parameter: parameter)
        state = State(params, {}, self.step)
        for slot, name in self._slots().items():
            state.slots[slot] = self._gather(lambda p, name=name: self.optimizer.state[p][name])
        return state

    def _loss(self, replica: int, rows: Tensor) -> Tensor:
        x = self.x[replica % len(self.x)][rows]  # data that all replicas share has one row
        y = self.y[replica % len(self.y)][rows]
        loss = {
            "mse": nn.functional.mse_loss,
            "bce": nn.functional.binary_cross_entropy_with_logits,
        }
        return loss[self.training.loss](self.networks[replica](x), y)

    @torch.no_grad()
    def _clip_and_decay(self, parameters: list[Tensor], rate: float, decay: float) -> None:
        """Exact clipping (`clip_grad_norm_` adds 1e-6 to the norm) and decoupled weight decay."""
        limit = self.training.clip_norm
        if limit is not None:
            gradients = [p.grad for p in parameters if p.grad is not None]
            norm = torch.linalg.vector_norm(torch.stack([g.double().norm() for g in gradients]))
            factor = torch.where(norm > limit, limit / norm, 1.0).to(self.dtype)
            for gradient in gradients:
                gradient.mul_(factor)
        if decay:
            for parameter in parameters:
                parameter.sub_(parameter * (rate * decay))  # 1 - rate·decay would round

    def _optimizer(self) -> torch.optim.Optimizer:
        """One parameter group per replica, with its own numbers; `decay` is ours to apply."""
        groups = []
        for r, network in enumerate(self.networks):
            tensors = [p for parts in network.canonical().values() for p in parts]
            n = {k: float(v[r % len(v)]) for k, v in self.training.numbers.items()}
            groups.append({"params": tensors, "decay": n.pop("weight_decay"), **self._native(n)})
        kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
        return kinds[self.training.optimizer](groups, lr=0.0)

    def _native(self, n: dict[str, float]) -> dict[str, object]:
        """The optimiser's numbers under PyTorch's names, with the epsilon that semantics state."""
        semantics = self.training.semantics
        if self.training.optimizer == "sgd":
            return {"momentum": n["momentum"], "nesterov": self.training.nesterov}
        if self.training.optimizer == "adam":
            return {"betas": (n["beta1"], n["beta2"]), "eps": semantics.adam_eps}
        return {"alpha": n["rho"], "eps": semantics.rmsprop_eps}

    def _slots(self) -> dict[str, str]:
        """Canonical slot name -> PyTorch's, for the memory that this optimiser has."""
        if self.training.optimizer == "sgd":
            return (
                {"velocity": "momentum_buffer"} if self.training.numbers["momentum"].any() else {}
            )
        square = {"v": SQUARES[self.training.optimizer]}
        return {"m": "exp_avg", **square} if self.training.optimizer == "adam" else square

    @torch.no_grad()
    def _load(self, state: State) -> None:
        for r, network in enumerate(self.networks):
            for name, tensors in network.canonical().items():
                for tensor, value in zip(
                    tensors, self._to_torch(name, state.params[name][r]), strict=True
                ):
                    tensor.copy_(value)
                for slot, native in self._slots().items():
                    values = self._to_torch(name, state.slots[slot][name][r])
                    for tensor, value in zip(tensors, values, strict=True):
                        memory = self.optimizer.state[tensor]
                        memory[native] = value.clone()
                        if self.training.optimizer != "sgd":
                            memory["step"] = torch.tensor(float(state.step))

    def _gather(self, pick) -> Params:
        """Canonical `(R, …)` arrays of what `pick` finds for each parameter tensor."""
        found = [network.canonical() for network in self.networks]
        return {
            name: np.stack([self._to_canonical(name, [pick(t) for t in f[name]]) for f in found])
            for name in shapes(self.model)
        }

    def _to_torch(self, name: str, value: Array) -> Iterator[Tensor]:
        """One replica's canonical array as the tensors that PyTorch keeps for it."""
        rows = value if self._is_gru_bias(name) else [value]
        for row in rows:
            yield self._tensor(np.ascontiguousarray(self._swap_gates(name, row).T))

    def _to_canonical(self, name: str, tensors: list[Tensor]) -> Array:
        rows = [self._swap_gates(name, t.detach().cpu().numpy().T) for t in tensors]
        return np.stack(rows) if self._is_gru_bias(name) else rows[0].copy()

    def _is_gru_bias(self, name: str) -> bool:
        return self.model.cell == "gru" and name.startswith("rnn.") and name.endswith(".bias")

    def _swap_gates(self, name: str, value: Array) -> Array:
        """The GRU's z and r change places on the last axis; the swap is its own inverse."""
        if self.model.cell != "gru" or name.startswith("head."):
            return value
        z, r, h = np.split(value, 3, axis=-1)
        return np.concatenate([r, z, h], axis=-1)

    def _tensor(self, array: Array) -> Tensor:
        return torch.as_tensor(np.asarray(array), dtype=self.dtype, device=self.device)


def choose_device(device: str) -> str:
    """`auto` takes a GPU that this build of PyTorch can use; `cuda` insists on it."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"device=cuda: this PyTorch ({torch.__version__}) cannot use a GPU; install a CUDA "
            "build of it, or use device=cpu."
        )
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
