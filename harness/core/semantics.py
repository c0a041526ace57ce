"""The numeric rules of a training run in which frameworks differ, as data.

One field per rule, with its meaning, the values that it accepts and where each framework's own
value was read; `conf/semantics/` holds presets. `docs/semantics.md` shows all of it as a table.
Files are named as in Keras 3.15 (`keras/src`), PyTorch 2.13 (`torch`), flax 0.12 and optax 0.2.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from harness.core.errors import Range, check_choice, check_within

KERNELS = (
    "glorot_uniform",
    "lecun_normal",
    "uniform_units",
    "orthogonal",
    "zeros",
    "standard_normal",
)
BIASES = ("zeros", "uniform_units", "standard_normal")
# ε keeps an update from being 0/0 where a gradient is 0. float32's smallest normal number is
# 1.2e-38; smaller ones have fewer digits, and compiled code may take them for 0.
EPSILON = Range(1e-37)
SHARE = Range(0.0, 0.9999999)  # of a decay rate; nearer to 1, float32 rounds it to 1


def rule(meaning: str, source: str, *accepted: str, within: Range | None = None) -> Any:
    """Declare a field of `Semantics`: a word out of `accepted`, or a number `within` a range."""
    return field(
        metadata={"meaning": meaning, "source": source, "accepted": accepted, "within": within}
    )


@dataclass(frozen=True, kw_only=True)
class Semantics:
    """One value per numeric rule. Initialisers are explained in `harness/core/initializers.py`."""

    name: str
    kernel_init: str = rule(
        "how input kernels start",
        "keras layers/rnn/lstm.py; torch nn/modules/rnn.py; flax linen/recurrent.py",
        *KERNELS,
    )
    recurrent_init: str = rule(
        "how recurrent kernels start",
        "as kernel_init",
        *KERNELS,
    )
    init_gates: str = rule(
        "kernels are drawn as one matrix of all gates side by side (fused), or gate by gate (each)",
        "keras layers/rnn/lstm.py build; flax linen/recurrent.py",
        "fused",
        "each",
    )
    bias_init: str = rule("how the recurrent layers' biases start", "as kernel_init", *BIASES)
    forget_bias: float = rule(
        "what is added to the bias of the LSTM's forget gate at the start",
        "keras layers/rnn/lstm.py unit_forget_bias; Jozefowicz et al. 2015",
        within=Range(),
    )
    head_kernel_init: str = rule(
        "how the head's kernel starts",
        "keras layers/core/dense.py; torch nn/modules/linear.py; flax linen/linear.py",
        *KERNELS,
    )
    head_bias_init: str = rule("how the head's bias starts", "as head_kernel_init", *BIASES)
    biases: str = rule(
        "trained bias vectors of a simple or LSTM layer; of two, both get the gradient, so their "
        "sum moves twice",
        "torch nn/modules/rnn.py: bias_ih, bias_hh",
        "single",
        "double",
    )
    gru_biases: str = rule(
        "trained bias vectors of a GRU layer: on the input side only (single), a second one on the "
        "recurrent side of the candidate (candidate) or of all gates (double)",
        "keras layers/rnn/gru.py; torch nn/modules/rnn.py; flax linen/recurrent.py",
        "single",
        "candidate",
        "double",
    )
    gru_reset: str = rule(
        "the GRU's reset gate acts on the recurrent product (after) or on the state before it "
        "(before)",
        "keras layers/rnn/gru.py reset_after; Cho et al. 2014 has before",
        "after",
        "before",
    )
    adam_eps: float = rule(
        "Adam's ε",
        "keras optimizers/adam.py; torch optim/adam.py; optax _src/alias.py",
        within=EPSILON,
    )
    adam_eps_place: str = rule(
        "ε is added to √v̂, after the bias correction (corrected), or to √v before it (uncorrected)",
        "Kingma & Ba 2015, Algorithm 1 and the remark below it; files as adam_eps",
        "corrected",
        "uncorrected",
    )
    beta_powers: str = rule(
        "precision in which Adam's β₁ᵗ and β₂ᵗ are computed: float64, or that of the training",
        "as adam_eps",
        "float64",
        "training",
    )
    momentum_lr: str = rule(
        "the learning rate multiplies the velocity (outside) or the gradient that enters it "
        "(inside); they differ as soon as the rate changes",
        "keras optimizers/sgd.py; torch optim/sgd.py; optax _src/transform.py trace",
        "outside",
        "inside",
    )
    nesterov: str = rule(
        "form of Nesterov's step; all three take the gradient plus μ times the new velocity",
        "as momentum_lr",
        "gradient_plus_velocity",
    )
    rmsprop_rho: float = rule(
        "RMSprop's decay of the mean square, where optimizer.rho is null",
        "keras optimizers/rmsprop.py; torch optim/rmsprop.py alpha; optax _src/alias.py",
        within=SHARE,
    )
    rmsprop_eps: float = rule("RMSprop's ε", "as rmsprop_rho", within=EPSILON)
    rmsprop_eps_place: str = rule(
        "ε is added to the root (outside) or under it (inside)",
        "as rmsprop_rho; optax eps_in_sqrt",
        "outside",
        "inside",
    )
    weight_decay: str = rule(
        "weight decay is a step of its own, lr·λ·θ (decoupled), or λ·θ is added to the clipped "
        "gradient (coupled)",
        "keras optimizers/base_optimizer.py; torch optim/adam.py; optax _src/alias.py adamw",
        "decoupled",
        "coupled",
    )
    clip_scope: str = rule(
        "what trainer.clip limits: the norm of all gradients together (global), each parameter's "
        "own norm (variable), or each entry (value)",
        "keras optimizers/base_optimizer.py; torch nn/utils/clip_grad.py; "
        "optax transforms/_clipping.py",
        "global",
        "variable",
        "value",
    )
    clip_eps: float = rule(
        "what is added to a norm before it divides", "as clip_scope", within=Range(0.0)
    )
    bce: str = rule(
        "binary cross-entropy from logits, from probabilities clipped to [1e-7, 1 − 1e-7], or with "
        "logarithms clamped at −100",
        "keras backend/tensorflow/nn.py; torch nn/functional.py; optax losses/_classification.py",
        "logits",
        "clipped",
        "log_clamped",
    )
    epoch_loss: str = rule(
        "an epoch's training loss is the mean over samples, or the mean of the batches' means",
        "keras backend/tensorflow/trainer.py; in torch and jax the user's loop",
        "samples",
        "batches",
    )
    last_batch: str = rule(
        "the last, shorter batch of an epoch is kept or dropped",
        "keras trainers/data_adapters; torch utils/data/dataloader.py drop_last",
        "keep",
        "drop",
    )
    tf32: str = rule(
        "on NVIDIA GPUs, products in TensorFloat-32: none (off), those of the recurrent layers "
        "(recurrent), or all (on)",
        "torch backends/cudnn; tensorflow config/experimental; jax default_matmul_precision",
        "off",
        "recurrent",
        "on",
    )

    def __post_init__(self) -> None:
        for name, declared in RULES.items():
            key, value = f"semantics.{name}", getattr(self, name)
            if declared["accepted"]:
                check_choice(key, value, declared["accepted"])
            else:
                check_within(key, value, declared["within"])


# The declaration of each rule, by the name of its field.
RULES = {each.name: each.metadata for each in fields(Semantics) if each.metadata}
