"""A trained network from a file that some other program wrote, and what its user says of it.

Each module `from_FORMAT.py` reads one format by `read(path, stated)`. Nothing is unpickled, no code
of the file's is run, and only the arrays of the network itself are taken into memory. What the file
has and `harness/core/model.py` cannot express is refused by name. What does not follow from the
file's names and shapes is asked for.
"""

from dataclasses import dataclass, field

from harness.core.errors import ConfigError, check_choice
from harness.formats.trained_network import Network

KINDS = ".keras, .h5, .pt, .safetensors, .npz, .msgpack or .onnx"
WORDS = {
    "activation": ("tanh", "relu"),
    "reset": ("after", "before"),
    "returns": ("last", "every_step"),
    "outputs": ("values", "probabilities"),
}


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What the user says of a network; None where nothing was said."""

    only: str | None = None  # the name, in the file, of the recurrent layer or stack to take
    head: str | None = None  # the name of the dense layer after it, or none
    activation: str | None = None  # of the simple cell: tanh or relu
    reset: str | None = None  # of the GRU: after or before
    returns: str | None = None  # last or every_step
    outputs: str | None = None  # values, or probabilities: the network ends in a sigmoid

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a word that means nothing."""
        for name, valid in WORDS.items():
            value = getattr(self, name)
            if value is not None:
                check_choice(f"--{name}", value, valid)


@dataclass(frozen=True, kw_only=True)
class ForeignNetwork:
    """A network in canonical names, and code by which its own framework runs the file."""

    network: Network
    usage: str  # code that computes `y` from `x` (N, T, F) with the file, without this project
    notes: list[str] = field(default_factory=list[str])  # what was taken to be so, a line each
    filled: list[str] = field(default_factory=list[str])  # biases that the file has not: zeros
    sizes: tuple[int | None, int | None] = None, None  # N and T, where the file takes no others


def ask(option: str, why: str, *valid: str) -> ConfigError:
    """Return the error for what a file does not say: `option` has to, with one of `valid`."""
    return ConfigError(f"--{option}: say {' or '.join(valid)}: {why}.")


def refuse(path: object, name: str, what: str, remedy: str = "") -> ConfigError:
    """Return the error for the part `name` of a file, which is `what` and cannot be expressed."""
    return ConfigError(f"{path}: {name} is {what}, which no network here has{remedy}.")
