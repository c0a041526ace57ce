"""The place of a difference: step, tensor, layer, gate and time step."""

from dataclasses import dataclass, field

from harness.core.difference import Difference
from harness.core.gates import gate_of, layer_of
from harness.core.model import ModelSpec


@dataclass(frozen=True, kw_only=True)
class Place:
    """The first step, tensor, layer, gate and time step beyond a limit.

    A layer, gate or time step is None where the stage has none. `blocks` are all `(tensor, gate)`
    that are involved, the worst first.
    """

    stage: str
    step: int  # from 1
    tensor: str
    layer: int | None = None
    gate: str | None = None
    time_step: int | None = None
    blocks: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""

    def sentence(self) -> str:
        """Return the place as `step 1, gradients: rnn.0.kernel, gate f, time step 0`.

        Steps count from 1, time steps from 0.
        """
        parts = [f"step {self.step}, {self.stage}: {self.tensor}"]
        parts += [f"layer {self.layer}"] if self.layer is not None else []
        parts += [f"gate {self.gate}"] if self.gate else []
        parts += [f"time step {self.time_step}"] if self.time_step is not None else []
        return ", ".join(parts) + (f" ({self.note})" if self.note else "")


def place_of_tensor(difference: Difference, model: ModelSpec, tensor: str, step: int) -> Place:
    """Return the place of a difference of which the tensor and the column are known."""
    gate = gate_of(model, tensor, difference.index[-1])
    return Place(
        stage=difference.stage,
        step=step + 1,
        tensor=difference.tensor,
        layer=layer_of(tensor),
        gate=gate,
        note=difference.note,
    )
