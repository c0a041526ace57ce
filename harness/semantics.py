"""The numeric rules of a training run in which frameworks differ, as data.

One field per rule; `conf/semantics/` holds presets. `VALID` lists what each field accepts today: a
value that no backend can obey yet is refused by name instead of being ignored. Sources of the
rules: Keras 3.15 `keras/src/{layers/rnn,optimizers,losses}`, PyTorch 2.13
`torch/{nn/modules/rnn,optim}`, optax 0.2 `_src/{alias,transform}`.
"""

import math
from dataclasses import dataclass, fields

from harness.errors import check_choice, check_range

KERNELS = ("glorot_uniform", "orthogonal", "zeros", "standard_normal")
BIASES = ("zeros", "standard_normal")

VALID: dict[str, tuple[str, ...]] = {
    "kernel_init": KERNELS,
    "recurrent_init": KERNELS,
    "bias_init": BIASES,
    "head_kernel_init": KERNELS,
    "head_bias_init": BIASES,
    "biases": ("single",),
    "gru_reset": ("after",),
    "adam_eps_place": ("outside_corrected",),
    "beta_powers": ("float64",),
    "momentum_lr": ("outside",),
    "nesterov": ("gradient_plus_velocity",),
    "rmsprop_eps_place": ("outside",),
    "weight_decay": ("decoupled",),
    "clip_scope": ("global",),
    "bce": ("logits",),
    "epoch_loss": ("samples", "batches"),
    "last_batch": ("keep", "drop"),
    "tf32": ("off",),
}


@dataclass(frozen=True)
class Semantics:
    """One value per numeric rule; see each field's comment for its meaning."""

    name: str
    # Initialisers. glorot_uniform and orthogonal act on the fused kernel (all gates at once).
    kernel_init: str
    recurrent_init: str
    bias_init: str
    head_kernel_init: str
    head_bias_init: str
    # Added to the bias of the LSTM's forget gate after initialisation.
    forget_bias: float
    # Trained bias vectors per layer. The GRU with reset `after` always has two rows, as in Keras.
    biases: str
    # Whether the GRU's reset gate acts on the recurrent product (after) or on the state (before).
    gru_reset: str
    # Adam: eps, where it is added, and the precision of the powers of beta.
    adam_eps: float
    adam_eps_place: str
    beta_powers: str
    # SGD: whether the learning rate multiplies the velocity (outside) or enters it (inside).
    momentum_lr: str
    nesterov: str
    # RMSprop: eps, and whether it is added to the root or under it.
    rmsprop_eps: float
    rmsprop_eps_place: str
    # Weight decay as its own step (decoupled) or added to the gradient (coupled).
    weight_decay: str
    # Clipping: one norm over all parameters; `clip_eps` is added to that norm before dividing.
    clip_scope: str
    clip_eps: float
    # Binary cross-entropy, from logits or from clipped probabilities.
    bce: str
    # An epoch's training loss: mean over samples, or mean of the batches' means.
    epoch_loss: str
    # What becomes of the last batch when it is shorter than the others.
    last_batch: str
    # Reduced-precision matrix products on NVIDIA GPUs.
    tf32: str

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name in VALID:
                check_choice(
                    f"semantics.{field.name}", getattr(self, field.name), VALID[field.name]
                )
        check_range("semantics.forget_bias", self.forget_bias, -math.inf)
        check_range("semantics.adam_eps", self.adam_eps, 0.0)
        check_range("semantics.rmsprop_eps", self.rmsprop_eps, 0.0)
        check_range("semantics.clip_eps", self.clip_eps, 0.0, 0.0)
