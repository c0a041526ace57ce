"""Prove that a network read from a foreign file computes what the file's own framework computes."""

from pathlib import Path

import numpy as np

from harness.core.errors import ConfigError
from harness.core.tolerances import LIMITS
from harness.formats.own_process import Unusable, outputs_of
from harness.formats.reference import distance, random_inputs, reference
from harness.readers.foreign_network import ForeignNetwork


class Different(RuntimeError):
    """A network that was read otherwise than its framework does. The message is one line."""


def prove(path: Path, foreign: ForeignNetwork) -> float:
    """Return the largest difference of the NumPy reference from the file, run by its framework.

    Inputs are random; the difference is a share of the largest output. Raises `ConfigError` if the
    framework cannot use the file, and `Different` if the difference is above the limit of forward
    passes in the network's precision.
    """
    network = foreign.network
    inputs = random_inputs(network, foreign.sizes)
    try:
        outputs = outputs_of(foreign.usage, inputs, path.resolve().parent)
    except Unusable as error:
        raise ConfigError(f"{path}: its own framework cannot use it ({error}).") from error
    expected = [reference(network, x) for x in inputs]
    for y, wanted in zip(outputs, expected, strict=True):
        if y.shape != wanted.shape:
            raise Different(f"its framework gives outputs {y.shape}, not {wanted.shape}")
    pairs = zip(outputs, expected, strict=True)
    worst = float(np.max([distance(network, y, wanted) for y, wanted in pairs]))
    limit = LIMITS[network.precision].forward
    if not worst <= limit:  # also if it is NaN
        raise Different(
            f"its framework's outputs differ by {worst:.2g} of the largest, over {limit:g}"
        )
    return worst
