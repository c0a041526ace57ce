"""Check an exported model against the NumPy reference on random inputs.

The model is used by the code that its reader is given, in a process that cannot import this
project.
"""

from pathlib import Path

import numpy as np

from harness.core.tolerances import LIMITS
from harness.formats.own_process import Unusable, outputs_of
from harness.formats.reference import distance, random_inputs, reference
from harness.formats.trained_network import Network


class Unfaithful(RuntimeError):
    """A model that does not compute what the run's network computes. The message is one line."""


def check(network: Network, folder: Path, usage: str) -> float:
    """Return the largest difference between the model in `folder` and the reference.

    It is a share of the largest output, measured from the outputs' mean. Raises `Unfaithful` if it
    is above the limit between two backends.
    """
    inputs = random_inputs(network)
    try:
        outputs = outputs_of(usage, inputs, folder)
    except Unusable as error:
        raise Unfaithful(f"the exported model cannot be loaded and used: {error}") from error
    differences = []
    for x, y in zip(inputs, outputs, strict=True):
        expected = reference(network, x)
        if y.shape != expected.shape:
            raise Unfaithful(f"the exported model gives {y.shape} where {expected.shape} is right")
        differences.append(distance(network, y, expected))
    worst, limit = float(np.max(differences)), LIMITS[network.precision].forward
    if not worst <= limit:  # also if it is NaN
        raise Unfaithful(
            f"the exported model differs from the run's by {worst:.2g}, over {limit:g}"
        )
    return worst
