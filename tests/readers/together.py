"""Many foreign networks used by their own framework in one process, against the reference."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from harness.core.errors import ConfigError
from harness.formats.own_process import outputs_of
from harness.formats.reference import distance, reference
from harness.readers.foreign_network import ForeignNetwork, Stated

PROGRAM = """
outputs_of_all, inputs = [], x
for usage, precision in {usages!r}:
    x = inputs.astype(precision)
    exec(usage)
    outputs_of_all.append(y)
y = np.array([(str(y.dtype), str(y.shape)) for y in outputs_of_all])
np.savez({path!r}, *outputs_of_all)
"""


def distances(found: list[ForeignNetwork], folder: Path) -> list[float]:
    """The largest difference of each network's own outputs from the reference's."""
    usages = [(one.usage, one.network.outer_precision) for one in found]
    path = folder / "results.npz"
    x = np.random.default_rng(0).normal(size=(5, 12, found[0].network.model.features))
    program = PROGRAM.format(usages=usages, path=str(path))
    [kinds] = outputs_of(program, [x], folder)
    with np.load(path) as file:
        outputs = [file[f"arr_{n}"] for n in range(len(found))]
    result: list[float] = []
    for one, y, (kind, _) in zip(found, outputs, kinds, strict=True):
        network = one.network
        expected = reference(network, x.astype(network.outer_precision))
        assert y.shape == expected.shape
        assert kind == network.outer_precision
        result.append(distance(network, y, expected))
    return result


def complaint(read: Callable[[Path, Stated], ForeignNetwork], path: Path, said: Stated) -> str:
    """The error of reading a file, which must be one line, or nothing."""
    try:
        read(path, said)
    except ConfigError as error:
        [line] = str(error).splitlines()
        return line.replace(f"{path}", "FILE")
    return ""


def damaged_copies(path: Path, count: int) -> Iterator[None]:
    """Replace a file by copies with wrong bytes, and by parts of such copies."""
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    for trial in range(count):
        damaged = whole.copy()
        damaged[rng.integers(0, min(len(whole), 1500), size=3)] = rng.integers(0, 256, size=3)
        part = damaged[: rng.integers(0, len(whole))] if trial % 2 else damaged
        path.write_bytes(part.tobytes())
        yield
